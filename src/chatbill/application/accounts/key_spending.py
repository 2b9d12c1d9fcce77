"""The spending of API keys: a request counts with its hold while it runs, then with what it was charged."""

from __future__ import annotations

from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.api_keys import KeyMonth, month_start
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import Unauthenticated


def reserved(tx: Transaction, interaction: Interaction) -> KeyMonth | None:
    """Return the month of the interaction's key with its hold counted, for the caller to save; None without a key.

    Raises `CapReached`, and `Unauthenticated` where the key was revoked since it was looked at.
    """
    if interaction.api_key_id is None:
        return None
    key = tx.api_keys.lock(interaction.api_key_id)
    if key is None or not key.is_live(interaction.created_at):
        raise Unauthenticated("api_key_invalid")
    fresh = key.month_of(interaction.created_at)
    month = tx.api_keys.month(key.id, fresh.starts_at) or fresh
    month.reserve(interaction.held)
    return month


def give_back(tx: Transaction, interaction: Interaction, credits: int) -> None:  # noqa: A002 - as the port
    """Take `credits` off the month in which the interaction was accepted."""
    if interaction.api_key_id is not None and credits:
        tx.api_keys.give_back(interaction.api_key_id, month_start(interaction.created_at), credits)
