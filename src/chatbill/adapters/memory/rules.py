"""The rules that the databases enforce by constraints and triggers, for the store in memory.

Each function stands for one table. `old` is the stored row, or None for a new one. The names in the errors are those of
the constraints and triggers of the migrations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.codes import MAX_USES, RedeemCode
from chatbill.domain.billing.holds import MAX_HOLD_S, Hold, HoldState
from chatbill.domain.billing.ledger import MAX_CREDITS, EntryKind, HouseAccount, LedgerEntry, wallet_account
from chatbill.domain.billing.payments import Payment, PaymentStatus
from chatbill.domain.billing.subjects import PAYMENT
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.idempotency import IdempotencyRecord

_LONGEST = timedelta(seconds=MAX_HOLD_S)
_NO_TIME = timedelta()


def _require(holds: bool, rule: str, row: object) -> None:  # noqa: FBT001 - a condition, read before its name
    if not holds:
        raise InvariantViolation(f"{rule} forbids {row}")


def _unchanged(rule: str, old: Any, new: Any, *names: str, but: tuple[str, ...] = ()) -> None:
    """Require the same values in these fields, or in all but some."""
    for name in names or [each.name for each in fields(new) if each.name not in but]:
        _require(getattr(old, name) == getattr(new, name), rule, new)


def check_wallet(old: Wallet | None, new: Wallet) -> None:
    """Check a wallet: its balance follows its entries, and it promises no more than it owns."""
    _require(abs(new.posted) <= MAX_CREDITS, "wallets_posted_in_bounds", new)
    _require(new.held >= 0, "wallets_held_not_negative", new)
    _require(new.available >= -new.overdraft, "wallets_available_within_overdraft", new)
    _require(0 <= new.overdraft <= MAX_CREDITS, "wallets_overdraft_in_bounds", new)
    _require(new.version >= 0, "wallets_version_not_negative", new)
    if old is None:
        return
    moved = new.version > old.version
    _require(moved or (new.version, new.posted) == (old.version, old.posted), "wallets_own_what_entries_say", new)
    _require(
        new.overdraft == old.overdraft or (moved and new.overdraft > old.overdraft), "wallets_owe_what_was_allowed", new
    )
    _unchanged("wallets_keep_their_owner", old, new, "owner")


def check_user(old: User | None, new: User) -> None:
    """Check a user, whose wallet never changes, and who stays erased."""
    _require(new.erased_at is None or not new.is_enabled, "users_disabled_when_erased", new)
    numbers = (new.limit_day, new.limit_month, new.low_balance)
    _require(all(number is None or number >= 0 for number in numbers), "users_limits_not_negative", new)
    if old is not None:
        _unchanged("users_keep_their_wallet", old, new, "wallet_id")
        _require(old.erased_at is None, "users_stay_erased", new)


def check_session(_old: Session | None, new: Session) -> None:
    """Check a session: its end has a reason."""
    _require((new.ended_at is None) == (new.ended_because is None), "sessions_end_has_reason", new)


def check_second_factor(old: SecondFactor | None, new: SecondFactor) -> None:
    """Check a second factor: its secret never changes, and no code that was used is good again."""
    _require(not new.recovery_digests or new.is_active, "second_factors_recovery_when_confirmed", new)
    if old is None:
        return
    _unchanged("second_factors_keep_their_secret", old, new, "user_id", "sealed_secret", "created_at")
    left, before = len(new.recovery_digests), len(old.recovery_digests)
    _require(
        new.last_step >= old.last_step and not (old.is_active and left > before), "second_factors_use_codes_once", new
    )
    if old.is_active:
        _unchanged("second_factors_keep_their_secret", old, new, "confirmed_at")


def check_api_key(old: ApiKey | None, new: ApiKey) -> None:
    """Check an API key: it has a scope, it is revoked once, and its terms never change."""
    _require(bool(new.scopes), "api_keys_scopes_not_empty", new)
    _require(new.monthly_cap is None or 1 <= new.monthly_cap <= MAX_CREDITS, "api_keys_cap_in_bounds", new)
    _require(new.revoked_by is None or new.revoked_at is not None, "api_keys_revoked_by_when_revoked", new)
    _require(new.revoked_why is None or new.revoked_by is not None, "api_keys_revoked_why_by_whom", new)
    if old is None:
        return
    revocation = ("revoked_at", "revoked_by", "revoked_why")
    _unchanged("api_keys_keep_their_terms", old, new, but=(*revocation, "last_used_at"))
    if old.revoked_at is not None:
        _unchanged("api_keys_stay_revoked", old, new, *revocation)


def check_key_month(old: KeyMonth | None, new: KeyMonth) -> None:
    """Check what an API key used in a month: within its cap, which never changes."""
    _require(new.starts_at < new.ends_at, "api_key_months_ends_after_start", new)
    _require(new.used >= 0, "api_key_months_used_not_negative", new)
    _require(new.monthly_cap is None or new.used <= new.monthly_cap, "api_key_months_used_within_cap", new)
    if old is not None:
        _unchanged("api_key_months_keep_their_terms", old, new, but=("used",))


def check_code(old: RedeemCode | None, new: RedeemCode) -> None:
    """Check a code that redeems credits: it is withdrawn once, and its terms never change."""
    _require(1 <= new.credits <= MAX_CREDITS, "redeem_codes_credits_in_bounds", new)
    _require(1 <= new.uses <= MAX_USES, "redeem_codes_uses_in_bounds", new)
    _require((new.withdrawn_at is None) == (new.withdrawn_by is None), "redeem_codes_withdrawn_by_whom", new)
    if old is None:
        return
    withdrawal = ("withdrawn_at", "withdrawn_by")
    _unchanged("redeem_codes_keep_their_terms", old, new, but=withdrawal)
    if old.withdrawn_at is not None:
        _unchanged("redeem_codes_stay_withdrawn", old, new, *withdrawal)


def check_hold(old: Hold | None, new: Hold) -> None:
    """Check a hold: it lasts 25 hours at most, is settled once, and refunds only grow."""
    _require(0 <= new.amount <= MAX_CREDITS, "holds_amount_in_bounds", new)
    _require(0 <= new.captured <= new.amount, "holds_captured_within_amount", new)
    _require(0 <= new.refunded <= new.captured, "holds_refunded_within_captured", new)
    _require((new.captured > 0) == (new.state is HoldState.CAPTURED), "holds_captured_when_captured", new)
    _require((new.settled_at is None) == new.is_pending, "holds_settled_when_not_pending", new)
    if old is None:
        _require(_NO_TIME <= new.expires_at - new.created_at <= _LONGEST, "holds_end_in_time", new)
        return
    changing = ("state", "captured", "settled_at", "refunded")
    _unchanged("holds_keep_their_terms", old, new, but=changing)
    _require(new.refunded >= old.refunded, "holds_refunds_only_grow", new)
    if not old.is_pending:
        _unchanged("holds_are_settled_once", old, new, "state", "captured", "settled_at")


def check_interaction(old: Interaction | None, new: Interaction) -> None:
    """Check an interaction: it ends once, and its terms and texts are kept."""
    ended = not new.is_running
    _require(new.held >= 0, "interactions_held_not_negative", new)
    _require(min(new.usage.prompt_tokens, new.usage.completion_tokens) >= 0, "interactions_usage_not_negative", new)
    _require(0 <= new.credits_charged <= new.held, "interactions_charged_within_held", new)
    is_paid = new.outcome in {Outcome.COMPLETED, Outcome.STOPPED}
    _require(new.credits_charged == 0 or is_paid, "interactions_charged_for_a_reply", new)
    _require((new.finished_at is not None) == ended, "interactions_finished_when_ended", new)
    _require((new.balance_after is not None) == ended, "interactions_balance_when_ended", new)
    _require((new.processing_time_ms is not None) == ended, "interactions_time_when_ended", new)
    _require(not new.temporary or not (new.prompt or new.reply), "interactions_temporary_without_texts", new)
    if old is None:
        return
    texts = ("prompt", "reply")
    times = ("processing_time_ms", "first_token_ms", "finished_at")
    ending = ("outcome", "usage", "credits_charged", "balance_after", *times)
    errors = ("error_code", "error_detail")
    _unchanged("interactions_keep_their_terms", old, new, but=(*texts, *ending, *errors))
    if not old.is_running:
        _unchanged("interactions_end_once", old, new, *ending, *errors)
    for name in texts if not old.is_running else ("prompt",):
        _require(getattr(new, name) in {getattr(old, name), ""}, "interactions_are_erased_or_kept", new)


def check_payment(old: Payment | None, new: Payment) -> None:
    """Check a payment: its order never changes, and its status goes one way."""
    _require(1 <= new.credits <= MAX_CREDITS, "payments_credits_in_bounds", new)
    _require(new.price.amount >= 0, "payments_price_not_negative", new)
    _require(0 <= new.bonus <= new.credits, "payments_bonus_in_bounds", new)
    is_paid = new.status in {PaymentStatus.CONFIRMED, PaymentStatus.REFUNDED}
    _require((new.confirmed_at is not None) == is_paid, "payments_time_when_confirmed", new)
    _require((new.balance_after is not None) == is_paid, "payments_balance_when_confirmed", new)
    is_back = new.status is PaymentStatus.REFUNDED
    _require((new.refunded_at is not None) == is_back, "payments_time_when_refunded", new)
    if old is None:
        return
    changing = ("status", "confirmed_at", "balance_after", "refunded_at")
    _unchanged("payments_keep_their_order", old, new, but=changing)
    _require(old.may_become(new.status), "payments_take_each_step_once", new)
    if old.confirmed_at is not None:
        _unchanged("payments_take_each_step_once", old, new, "confirmed_at", "balance_after")


_WAYS: dict[EntryKind, tuple[HouseAccount, bool, bool]] = {
    EntryKind.CHARGE: (HouseAccount.REVENUE, False, True),
    EntryKind.REFUND: (HouseAccount.REVENUE, True, False),
    EntryKind.GRANT: (HouseAccount.PROMOTIONS, True, False),
    EntryKind.TOP_UP: (HouseAccount.PAYMENTS, True, False),
    EntryKind.ADJUSTMENT: (HouseAccount.ADJUSTMENTS, True, True),
}
"""The other account of each kind, whether credits may come from it, and whether they may go to it."""


def check_entry(old: LedgerEntry | None, new: LedgerEntry) -> None:
    """Check a ledger entry: it never changes, and its accounts and causes fit its kind."""
    _require(old is None, "ledger_entries_stay_as_they_are", new)
    _require(new.wallet_version >= 1, "ledger_entries_version_from_one", new)
    _require(abs(new.balance_after) <= MAX_CREDITS, "ledger_entries_balance_in_bounds", new)
    mine, (theirs, comes, goes) = wallet_account(new.wallet_id), _WAYS[new.kind]
    fits = (comes and (new.debit, new.credit) == (theirs, mine)) or (goes and (new.debit, new.credit) == (mine, theirs))
    needs_hold = new.kind in {EntryKind.CHARGE, EntryKind.REFUND}
    _require(fits and (new.cause.hold_id is not None or not needs_hold), "ledger_entries_accounts_fit_kind", new)
    subject, is_author = new.cause.subject, new.cause.author is not None
    is_payment = subject is not None and subject.kind == PAYMENT
    takes_back = new.kind is EntryKind.ADJUSTMENT and not is_author and new.debit == mine
    _require(is_payment == (new.kind is EntryKind.TOP_UP or takes_back), "ledger_entries_top_up_has_payment", new)
    by_hand = new.kind in {EntryKind.ADJUSTMENT, EntryKind.REFUND} and not takes_back
    _require(is_author or not by_hand, "ledger_entries_by_hand_has_author", new)


def check_idempotency(old: IdempotencyRecord | None, new: IdempotencyRecord) -> None:
    """Check an idempotency record: it never changes, and names a result or a refusal."""
    _require(old is None, "idempotency_keys_stay_as_they_are", new)
    _require((new.subject_id is None) != (new.refusal is None), "idempotency_keys_answer_is_one", new)


def require_row(found: Callable[[Any], object | None], key: Any, what: str) -> None:
    """Require the row that another refers to. Raises `InvariantViolation`; a key that is None refers to nothing."""
    if key is not None and found(key) is None:
        raise InvariantViolation(f"{what} {key} does not exist")
