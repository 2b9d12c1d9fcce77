"""What a request counts for in the month of its API key: its hold while it runs, and in the end what it was charged."""

from __future__ import annotations

from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.api_keys import KeyMonth, month_start
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import Unauthenticated


def reserved(tx: Transaction, interaction: Interaction) -> KeyMonth | None:
    """The month of the interaction's key with its hold counted, for the caller to save; None where no key came.

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
    """Count `credits` less for the month in which the interaction was accepted."""
    if interaction.api_key_id is not None and credits:
        tx.api_keys.give_back(interaction.api_key_id, month_start(interaction.created_at), credits)
