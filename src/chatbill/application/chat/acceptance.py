"""Accept requests: hold the price, record the request and remember its key, in one transaction."""

from __future__ import annotations

from datetime import datetime

from chatbill.application.accounts.spending_caps import Payer
from chatbill.application.billing.postings import keep_hold
from chatbill.application.chat.messages import Message
from chatbill.application.chat.settlement import PendingInteraction
from chatbill.application.ports.store import Transaction
from chatbill.domain.billing.wallets import Promise, Wallet
from chatbill.domain.chat.conversations import TEMPORARY_TITLE, Conversation, title_of
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import InsufficientCredits
from chatbill.domain.shared.idempotency import IdempotencyRecord, Refusal
from chatbill.domain.shared.ids import InstanceId

Acceptance = PendingInteraction | IdempotencyRecord | InsufficientCredits
"""The request was accepted; or its key came before; or the wallet cannot pay, which is returned, not raised, because
the refusal is kept with its key."""


def accept(
    tx: Transaction,
    interaction: Interaction,
    payer: Payer,
    message: Message,
    *,
    expires_at: datetime,
    instance_id: InstanceId | None = None,
) -> Acceptance:
    """Hold `interaction.held` credits until `expires_at` and record the interaction, or only remember why not.

    `instance_id` is this process; see `Hold`. Raises `NotFound` when the conversation was deleted meanwhile or
    belongs to another user, `Unauthenticated` when the API key was revoked, `Forbidden` when the account is suspended,
    and `SpendingLimitReached`.
    """
    now = interaction.created_at
    wallet = tx.wallets.lock(payer.wallet_id)
    payer.check_limits(tx, wallet, interaction.held, at=now)
    # The account may have been suspended while the message waited for its place, or for the lock.
    tx.users.require_enabled(interaction.user_id)
    promise: Promise | InsufficientCredits
    months = []
    try:
        promise = _promise(wallet, interaction, expires_at, instance_id)
        months = [cap.reserve(tx, interaction.held, at=now) for cap in payer.caps]
    except InsufficientCredits as refusal:
        promise = refusal
    record = _record(interaction, message, promise)
    if record and (earlier := tx.idempotency.claim(record)):
        return earlier
    if isinstance(promise, InsufficientCredits):
        return promise
    _enter_conversation(tx, interaction, message)
    for month in months:
        tx.api_keys.save_month(month)
    hold = keep_hold(tx, promise)
    tx.interactions.add(interaction)
    return PendingInteraction(interaction, hold)


def _promise(wallet: Wallet, interaction: Interaction, expires_at: datetime, instance_id: InstanceId | None) -> Promise:
    return wallet.hold(
        interaction.hold_id,
        interaction.held,
        subject=interaction.subject,
        purpose=interaction.purpose,
        at=interaction.created_at,
        expires_at=expires_at,
        instance_id=instance_id,
    )


def _record(
    interaction: Interaction, message: Message, promise: Promise | InsufficientCredits
) -> IdempotencyRecord | None:
    if message.idempotency_key is None:
        return None
    refusal = Refusal.of(promise) if isinstance(promise, InsufficientCredits) else None
    return IdempotencyRecord(
        user_id=interaction.user_id,
        key=message.idempotency_key,
        fingerprint=message.fingerprint,
        created_at=interaction.created_at,
        subject_id=None if refusal else interaction.id,
        refusal=refusal,
    )


def _enter_conversation(tx: Transaction, interaction: Interaction, message: Message) -> None:
    now = interaction.created_at
    if message.conversation_id is None:
        tx.conversations.add(
            Conversation(
                id=interaction.conversation_id,
                user_id=interaction.user_id,
                title=TEMPORARY_TITLE if interaction.temporary else title_of(interaction.prompt),
                created_at=now,
                updated_at=now,
                listed=message.history is None and not message.temporary,
            )
        )
    else:
        tx.conversations.touch(interaction.conversation_id, interaction.user_id, at=now)
        if interaction.parent_id is not None:
            tx.conversations.branch(interaction.conversation_id)
