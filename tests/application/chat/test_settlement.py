"""The charge of a reply is bounded by what was held for it, whatever was counted."""

from __future__ import annotations

from datetime import timedelta

from chatbill.application.accounts.spending_caps import Payer
from chatbill.application.chat.acceptance import accept
from chatbill.application.chat.messages import Message
from chatbill.application.chat.settlement import Ending, PendingInteraction, settle
from chatbill.application.ports.store import Transaction
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import ConversationId, EntryId, HoldId, InteractionId, ModelId
from tests.kit.chat import scene


async def test_a_reply_with_more_tokens_than_were_held_for_costs_what_was_held() -> None:
    here = await scene()
    now = here.world.clock()
    talk = await here.send()
    here.engine.last.say("word")
    here.engine.last.end()
    await talk.finished()
    asked = Interaction(
        id=InteractionId("more"),
        conversation_id=ConversationId(talk.accepted.conversation_id),
        user_id=here.alice.user_id,
        wallet_id=here.alice.wallet_id,
        hold_id=HoldId("hold-of-more"),
        model=ModelId("by-token"),
        price=Price(per_reply=1, per_1k_completion_tokens=1_000),
        held=5,
        prompt="Hello",
        created_at=now,
    )
    message = Message(model=asked.model, text=asked.prompt, conversation_id=asked.conversation_id)

    def accepted(tx: Transaction) -> PendingInteraction:
        work = accept(tx, asked, Payer.of(here.alice), message, expires_at=now + timedelta(seconds=60))
        assert isinstance(work, PendingInteraction)
        return work

    work = await here.world.store.write(accepted)
    ending = Ending(outcome=Outcome.COMPLETED, reply="word", usage=Usage(prompt_tokens=1, completion_tokens=90))
    ended = await settle(here.world.store, work, ending, at=now, entry_id=EntryId("entry-of-more"))
    assert ended.credits_charged == 5
    assert (await here.wallet()).available == 100 - 1 - 5
    # Engines are bounded before this, so the audit names such a reply.
    differences: list[Difference] = []
    await here.world.use_cases.audit.verify_ledger(differences.append)
    assert [(each.rule, each.subject) for each in differences] == [("price", "interaction more")]
