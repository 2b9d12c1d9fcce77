"""An engine that breaks its port fails the reply, which is then free, and the log names the engine once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from chatbill.application.chat.checked_generation import CheckedGeneration, EngineContractViolation
from chatbill.application.chat.events import Failed, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.engine import THINKING, Chunk, GenerationRequest
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed
from chatbill.domain.shared.ids import ModelId
from tests.kit.engines import ControlledEngine, ControlledGeneration
from tests.kit.support import world

MAX_TOKENS, PROMPT_TOKENS = 5, 10
REQUEST = GenerationRequest(model=ModelId("m"), turns=(Turn(Role.USER, "Hi"),), max_tokens=MAX_TOKENS)
BY_TOKEN = Model(
    id=ModelId("m"),
    name="M",
    tier=Tier.MINI,
    price=Price(per_reply=1, per_1k_prompt_tokens=100, per_1k_completion_tokens=500),
    context_tokens=100,
    max_reply_tokens=MAX_TOKENS,
)


class BrokenGeneration(ControlledGeneration):
    """Writes `chunks`, and has these counts from the first chunk on."""

    def __init__(self, chunks: list[Any], **counts: int) -> None:
        super().__init__(REQUEST, prompt_tokens=PROMPT_TOKENS)
        self._chunks = chunks
        self._counts = counts

    async def stream(self) -> Any:
        for name, count in self._counts.items():
            setattr(self, name, count)
        for chunk in self._chunks:
            yield chunk


WORD = Chunk("word", 1)
BROKEN: dict[str, tuple[list[Any], dict[str, int], str]] = {
    "more tokens than allowed": ([WORD] * 6, {}, "wrote 6 tokens of at most 5"),
    "more tokens than allowed in one chunk": ([Chunk("many words", 6)], {}, "wrote 6 tokens of at most 5"),
    "a negative chunk": ([WORD, Chunk("less", -1)], {}, "wrote a chunk of -1 tokens"),
    "text that is bytes": ([Chunk(cast("str", b"word"), 1)], {}, "wrote a chunk that is not text: Chunk"),
    "a chunk that is a string": (["word"], {}, "wrote a chunk that is not text: str"),
    "a completion count that is too large": (
        [WORD],
        {"completion_tokens": 6},
        "counted 6 completion tokens of at most 5",
    ),
    "a negative completion count": ([WORD], {"completion_tokens": -1}, "counted -1 completion tokens of at most 5"),
    "a prompt count that grows": ([WORD], {"prompt_tokens": 11}, "counted 11 prompt tokens of at most 10"),
    "a negative prompt count": ([WORD], {"prompt_tokens": -1}, "counted -1 prompt tokens of at most 10"),
    "a wrong count without a chunk": ([], {"completion_tokens": 6}, "counted 6 completion tokens of at most 5"),
}
broken = pytest.mark.parametrize(("chunks", "counts", "fault"), BROKEN.values(), ids=BROKEN)


@broken
async def test_a_violation_of_the_port_fails_the_generation(
    chunks: list[Any], counts: dict[str, int], fault: str
) -> None:
    checked = CheckedGeneration(BrokenGeneration(chunks, **counts), REQUEST, engine="odd")
    with pytest.raises(GenerationFailed) as failed:
        _ = [chunk async for chunk in checked.stream()]

    assert isinstance(failed.value.__cause__, EngineContractViolation)
    assert str(failed.value.__cause__) == f"the engine odd {fault}"
    assert 0 <= checked.prompt_tokens <= PROMPT_TOKENS


async def test_a_generation_that_keeps_its_port_passes_unchanged() -> None:
    generation = BrokenGeneration([THINKING, *[WORD] * 5], prompt_tokens=7, completion_tokens=4, cut_off=True)
    checked = CheckedGeneration(generation, REQUEST, engine="good")

    assert checked.prompt_tokens == PROMPT_TOKENS
    assert [chunk async for chunk in checked.stream()] == [THINKING, *[WORD] * 5]
    assert (checked.prompt_tokens, checked.completion_tokens, checked.cut_off, checked.cached) == (7, 4, True, False)
    await checked.close()
    assert generation.closed


async def test_a_prompt_count_that_is_negative_from_the_start_holds_nothing_for_it_and_fails() -> None:
    generation = ControlledGeneration(REQUEST, prompt_tokens=-3)
    checked = CheckedGeneration(generation, REQUEST, engine="odd")

    assert checked.prompt_tokens == 0
    with pytest.raises(GenerationFailed):
        await anext(aiter(checked.stream()))


class OneGenerationEngine(ControlledEngine):
    """Hands out the generation it is given."""

    def __init__(self, generation: ControlledGeneration) -> None:
        super().__init__({BY_TOKEN.id: BY_TOKEN})
        self._generation = generation

    async def prepare(self, request: GenerationRequest) -> ControlledGeneration:
        return self._generation


@broken
async def test_a_reply_that_breaks_the_port_is_free_and_the_log_names_the_engine_once(
    chunks: list[Any], counts: dict[str, int], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    generation = BrokenGeneration(chunks, **counts)
    here = world(engine=OneGenerationEngine(generation), catalogue=Catalogue((BY_TOKEN,)))
    alice = await here.person()
    reply = await here.use_cases.chat.send_message(alice, Message(model="m", text="Hi"))
    assert isinstance(reply, Reply)
    end = await reply.finished()

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
    wallet = await here.use_cases.billing.read_balance(alice)
    assert (wallet.posted, wallet.held) == (100, 0)
    assert (await here.use_cases.audit.verify_ledger(lambda _difference: None)).agrees
    assert caplog.text.count(f"the engine controlled {fault}") == 1
    assert len(caplog.records) == 1
    assert generation.closed


async def test_a_reply_that_is_stopped_while_the_counts_are_wrong_never_costs_more_than_its_hold() -> None:
    generation = ControlledGeneration(REQUEST, prompt_tokens=PROMPT_TOKENS)
    here = world(engine=OneGenerationEngine(generation), catalogue=Catalogue((BY_TOKEN,)))
    reply = await here.use_cases.chat.send_message(await here.person(), Message(model="m", text="Hi"))
    assert isinstance(reply, Reply)
    generation.say("word")
    stream = aiter(reply)
    _ = [await anext(stream) for _ in range(2)]
    generation.prompt_tokens = 1_000_000
    reply.stop()
    end = await reply.finished()

    assert isinstance(end, Stopped)
    assert end.interaction.usage.prompt_tokens == PROMPT_TOKENS
    assert end.interaction.credits_charged <= reply.accepted.held
