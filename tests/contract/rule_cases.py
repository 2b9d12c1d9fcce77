"""One way to break each rule of the books through the repositories, by the name of the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from chatbill.application.ports.store import Snapshot
from chatbill.domain.accounts.api_keys import KeyMonth, month_start
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.accounts.sessions import RefreshToken
from chatbill.domain.billing.events import BillingEvent, EventKind
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import Cause, EntryKind
from chatbill.domain.billing.payments import Money, PaymentStatus
from chatbill.domain.billing.prices import Usage
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT, USER, Owner, Subject
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.idempotency import Refusal
from chatbill.domain.shared.ids import (
    ApiKeyId,
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)
from tests.contract.rule_acts import (
    ADJUSTMENT,
    CAPTION,
    CI,
    CONFIRMED,
    NAIVE,
    NOWHERE,
    OF_A_PAYMENT,
    OF_NO_PAYMENT,
    OPEN,
    RECORD,
    REFUNDED,
    SORRY,
    TOO_MUCH,
    TOP_UP,
    Act,
    add_hold,
    add_interaction,
    add_payment,
    append,
    append_again,
    both,
    charge_entry,
    claim,
    end,
    hold,
    month,
    redeem,
    save_hold,
    save_payment,
    save_refund,
    wallet,
    wallet_with,
)
from tests.kit.rows import (
    ALICE,
    BOB,
    NOON,
    PURSE,
    api_key,
    audit_record,
    code,
    conversation,
    later,
    new_wallet,
    second_factor,
    session,
    user,
)

REFUSED: dict[str, tuple[Act, ...]] = {
    "wallets_posted_in_bounds": (wallet_with(lambda each: {"posted": TOO_MUCH, "version": each.version + 1}),),
    "wallets_held_not_negative": (wallet(held=-1),),
    "wallets_available_within_overdraft": (wallet_with(lambda each: {"held": each.posted + each.overdraft + 1}),),
    "wallets_overdraft_in_bounds": (lambda tx: tx.wallets.add(new_wallet("new", overdraft=TOO_MUCH)),),
    "wallets_version_not_negative": (lambda tx: tx.wallets.add(new_wallet("new", version=-1)),),
    "wallets_own_what_entries_say": (wallet_with(lambda each: {"posted": each.posted + 5}),),
    "wallets_owe_what_was_allowed": (wallet(overdraft=5),),
    "wallets_come_in_anew": (lambda tx: tx.wallets.add(new_wallet()),),
    "users_limits_not_negative": (
        lambda tx: tx.users.save(user(limit_day=-1)),
        lambda tx: tx.users.save(user(limit_month=-1)),
        lambda tx: tx.users.save(user(low_balance=-1)),
    ),
    "users_wallet_is_one": (lambda tx: tx.users.add(user("new", wallet_id=PURSE)),),
    "users_wallet_exists": (lambda tx: tx.users.add(user("new")),),
    "users_come_in_anew": (
        both(lambda tx: tx.wallets.add(new_wallet("new")), lambda tx: tx.users.add(user("new", id=ALICE))),
    ),
    "sessions_end_has_reason": (lambda tx: tx.sessions.add(session("new", ended_at=later(1))),),
    "sessions_user_exists": (lambda tx: tx.sessions.add(session("new", user_id=UserId(NOWHERE))),),
    "second_factors_recovery_when_confirmed": (
        lambda tx: tx.second_factors.add(second_factor(BOB, confirmed_at=None)),
        lambda tx: tx.second_factors.save(second_factor(confirmed_at=None)),
    ),
    "second_factors_user_exists": (lambda tx: tx.second_factors.add(second_factor(UserId(NOWHERE))),),
    "second_factors_one_of_a_user": (lambda tx: tx.second_factors.add(second_factor()),),
    "second_factors_use_codes_once": (
        lambda tx: tx.second_factors.save(second_factor(last_step=6)),
        lambda tx: tx.second_factors.save(second_factor(recovery_digests=("one", "two", "three"))),
    ),
    "refresh_tokens_session_exists": (
        lambda tx: tx.sessions.add_token(
            RefreshToken(digest="new", session_id=SessionId(NOWHERE), issued_at=NOON)
        ),
    ),
    "api_keys_cap_in_bounds": (
        lambda tx: tx.api_keys.add(api_key("new", monthly_cap=0)),
        lambda tx: tx.api_keys.add(api_key("new", monthly_cap=TOO_MUCH)),
    ),
    "api_keys_revoked_by_when_revoked": (lambda tx: tx.api_keys.save(api_key(revoked_by=ALICE)),),
    "api_keys_revoked_why_by_whom": (
        lambda tx: tx.api_keys.save(api_key(revoked_at=later(1), revoked_why="It leaked")),
    ),
    "api_keys_scopes_not_empty": (lambda tx: tx.api_keys.add(api_key("new", scopes=frozenset())),),
    "api_keys_stay_revoked": (
        lambda tx: tx.api_keys.save(api_key("gone")),
        lambda tx: tx.api_keys.save(api_key("gone", revoked_at=later(9), revoked_by=ALICE, revoked_why="It leaked")),
    ),
    "api_keys_keep_who_revoked_them": (
        lambda tx: tx.api_keys.save(api_key("gone", revoked_at=later(1), revoked_by=BOB, revoked_why="It leaked")),
    ),
    "api_keys_come_in_anew": (lambda tx: tx.api_keys.add(api_key("new", name="ci")),),
    "api_keys_user_exists": (lambda tx: tx.api_keys.add(api_key("new", user_id=UserId(NOWHERE))),),
    "api_key_months_ends_after_start": (
        lambda tx: tx.api_keys.save_month(
            KeyMonth(api_key_id=CI, starts_at=later(9), ends_at=later(1), monthly_cap=10)
        ),
    ),
    "api_key_months_used_not_negative": (month(used=-1),),
    "api_key_months_used_within_cap": (month(used=11),),
    "api_key_months_key_exists": (month(api_key_id=ApiKeyId(NOWHERE)),),
    "holds_amount_in_bounds": (add_hold(amount=TOO_MUCH), add_hold(amount=-1)),
    "holds_captured_within_amount": (save_hold(state=HoldState.CAPTURED, captured=6),),
    "holds_refunded_within_captured": (save_refund(5), add_hold(refunded=1)),
    "holds_captured_when_captured": (save_hold(state=HoldState.CAPTURED), save_hold(captured=1)),
    "holds_settled_when_not_pending": (save_hold(settled_at=None), add_hold(settled_at=NOON)),
    "holds_end_in_time": (
        add_hold(expires_at=NOON + timedelta(days=60)),
        add_hold(expires_at=NOON - timedelta(seconds=1)),
        add_hold(created_at=NAIVE),
        add_hold(expires_at=NAIVE),
    ),
    "holds_refunds_only_grow": (save_refund(1),),
    "holds_are_settled_once": (lambda tx: tx.holds.save(hold(tx, "hold-second")),),
    "holds_come_in_anew": (lambda tx: tx.holds.add(hold(tx)),),
    "holds_wallet_exists": (add_hold(wallet_id=WalletId(NOWHERE)),),
    "interactions_held_not_negative": (add_interaction(held=-1),),
    "interactions_usage_not_negative": (end(usage=Usage(completion_tokens=-1)),),
    "interactions_charged_within_held": (end(credits_charged=6), end(credits_charged=-1)),
    "interactions_temporary_without_texts": (add_interaction(temporary=True),),
    "interactions_charged_for_a_reply": (end(Outcome.FAILED, credits_charged=1),),
    "interactions_finished_when_ended": (end(finished_at=None), add_interaction(finished_at=NOON)),
    "interactions_balance_when_ended": (end(balance_after=None), add_interaction(balance_after=1)),
    "interactions_time_when_ended": (end(processing_time_ms=None), add_interaction(processing_time_ms=1)),
    "interactions_end_once": (end(id=InteractionId("second"), hold_id=HoldId("hold-second")),),
    "interactions_come_with_a_time": (add_interaction(created_at=NAIVE),),
    "interactions_come_in_anew": (
        add_interaction(id=InteractionId("first")),
        add_interaction(hold_id=HoldId("hold-first")),
    ),
    "interactions_refer_to_what_exists": (
        add_interaction(conversation_id=ConversationId(NOWHERE)),
        add_interaction(user_id=UserId(NOWHERE)),
        add_interaction(wallet_id=WalletId(NOWHERE)),
        add_interaction(hold_id=HoldId(NOWHERE)),
        add_interaction(parent_id=InteractionId(NOWHERE)),
        add_interaction(api_key_id=ApiKeyId(NOWHERE)),
    ),
    "conversations_user_exists": (
        lambda tx: tx.conversations.add(conversation("new", user_id=UserId(NOWHERE))),
    ),
    "payments_credits_in_bounds": (add_payment(credits=0), add_payment(credits=TOO_MUCH)),
    "payments_bonus_in_bounds": (add_payment(bonus=-1), add_payment(bonus=101)),
    "payments_price_not_negative": (add_payment(price=Money(Decimal("-0.01"), "EUR")),),
    "payments_time_when_confirmed": (
        add_payment(**{**CONFIRMED, "confirmed_at": None}),
        save_payment("pending", **{**CONFIRMED, "confirmed_at": None}),
        add_payment(confirmed_at=NOON),
    ),
    "payments_balance_when_confirmed": (
        add_payment(**{**CONFIRMED, "balance_after": None}),
        add_payment(balance_after=1),
    ),
    "payments_time_when_refunded": (
        save_payment("paid", status=PaymentStatus.REFUNDED),
        add_payment(refunded_at=NOON),
    ),
    "payments_take_each_step_once": (
        save_payment("pending", **REFUNDED),
        save_payment("pending"),
        save_payment("failed", **REFUNDED),
        save_payment("failed", status=PaymentStatus.PENDING),
        save_payment("paid", **CONFIRMED),
        save_payment("paid", status=PaymentStatus.FAILED, **OPEN),
        save_payment("paid", status=PaymentStatus.PENDING, **OPEN),
        save_payment("paid", **REFUNDED),
        save_payment("returned", **CONFIRMED, refunded_at=None),
        save_payment("returned", **REFUNDED),
        save_payment("returned", status=PaymentStatus.FAILED, **OPEN),
    ),
    "payments_come_with_a_time": (add_payment(created_at=NAIVE),),
    "payments_come_in_anew": (add_payment(id=PaymentId("paid")),),
    "payments_refer_to_what_exists": (
        add_payment(user_id=UserId(NOWHERE)),
        add_payment(wallet_id=WalletId(NOWHERE)),
    ),
    "ledger_entries_version_from_one": (append(wallet_version=0),),
    "ledger_entries_balance_in_bounds": (append(balance_after=TOO_MUCH),),
    "ledger_entries_accounts_fit_kind": (
        append(debit="house:revenue"),
        append(debit=f"wallet:{PURSE}", credit="house:promotions"),
        append(credit="wallet:wallet-bob"),
        charge_entry(subject=CAPTION),
        append(**ADJUSTMENT | {"kind": EntryKind.REFUND}, cause=Cause(description=SORRY, author=BOB)),
    ),
    "ledger_entries_top_up_has_payment": (
        append(**TOP_UP, cause=OF_NO_PAYMENT),
        append(cause=OF_A_PAYMENT),
        append(**ADJUSTMENT, cause=replace(OF_A_PAYMENT, author=BOB)),
    ),
    "ledger_entries_by_hand_has_author": (append(**ADJUSTMENT, cause=OF_NO_PAYMENT),),
    "ledger_entries_come_with_a_time": (append(created_at=NAIVE),),
    "ledger_entries_come_in_anew": (
        append(wallet_version=1),
        append_again("charge-second"),
        append_again("paid"),
        append_again("back"),
    ),
    "ledger_entries_stay_as_they_are": (append(id=EntryId("paid")),),
    "ledger_entries_refer_to_what_exists": (
        append(wallet_id=WalletId(NOWHERE), credit=f"wallet:{NOWHERE}"),
        charge_entry(subject=CAPTION, hold_id=HoldId(NOWHERE)),
        charge_entry(subject=Subject(INTERACTION, NOWHERE), hold_id=HoldId("spare")),
        append(**TOP_UP, cause=Cause(description=SORRY, subject=Subject(PAYMENT, NOWHERE))),
        append(**ADJUSTMENT, cause=Cause(description=SORRY, author=UserId(NOWHERE))),
    ),
    "idempotency_keys_answer_is_one": (
        claim(subject_id=None),
        claim(refusal=Refusal(required=5, available=1)),
    ),
    "idempotency_keys_user_exists": (claim(user_id=UserId(NOWHERE)),),
    "audit_trail_come_in_anew": (lambda tx: tx.audit_trail.append(audit_record("record")),),
    "audit_trail_actor_exists": (lambda tx: tx.audit_trail.append(audit_record("new", actor=UserId(NOWHERE))),),
    "users_disabled_when_erased": (lambda tx: tx.users.save(user("bob", id=BOB, erased_at=NOON)),),
    "users_stay_erased": (
        lambda tx: tx.users.save(user("erased", disabled_at=NOON, erased_at=NOON, username="carol")),
        lambda tx: tx.users.save(user("erased")),
    ),
    "redeem_codes_credits_in_bounds": (lambda tx: tx.codes.add(code("new", credits=0)),),
    "redeem_codes_uses_in_bounds": (lambda tx: tx.codes.add(code("new", uses=10_001)),),
    "redeem_codes_withdrawn_by_whom": (lambda tx: tx.codes.save(code(withdrawn_at=NOON)),),
    "redeem_codes_stay_withdrawn": (lambda tx: tx.codes.save(code("withdrawn")),),
    "redeem_codes_come_in_anew": (
        lambda tx: tx.codes.add(code(digest="another")),
        lambda tx: tx.codes.add(code("new", digest="digest-code")),
    ),
    "redeem_codes_created_by_exists": (lambda tx: tx.codes.add(code("new", created_by=UserId(NOWHERE))),),
    "ledger_entries_redeem_once": (lambda tx: redeem(tx, "new"),),
    "outbox_wallet_exists": (
        lambda tx: tx.outbox.add(
            BillingEvent(kind=EventKind.GRANTED, wallet_id=WalletId(NOWHERE), amount=1, at=NOON)
        ),
    ),
}  # fmt: skip
"""What breaks each rule. `…_exists` and `…_come_in_anew` stand for references and for unique keys."""

Look = Callable[[Snapshot], Any]


def charged_interaction(snapshot: Snapshot) -> Any:
    found = snapshot.interactions.get(InteractionId("first"))
    assert found
    return found.prompt, found.held, found.price, found.model, found.created_at, found.api_key_id, found.cached


def hold_terms(snapshot: Snapshot) -> Any:
    found = snapshot.holds.get(HoldId("spare"))
    assert found
    return found.amount, found.subject, found.purpose, found.expires_at, found.wallet_id


def key_terms(snapshot: Snapshot) -> Any:
    found = snapshot.api_keys.get(CI)
    assert found
    return found.name, found.monthly_cap, found.user_id, found.digest


def payment_order(snapshot: Snapshot) -> Any:
    found = snapshot.payments.get(PaymentId("pending"))
    assert found
    return found.credits, found.price, found.package, found.user_id, found.wallet_id


KEPT: dict[str, tuple[Look, tuple[Act, ...]]] = {
    "wallets_keep_their_owner": (
        lambda snapshot: getattr(snapshot.wallets.get(PURSE), "owner", None),
        (wallet(owner=Owner(USER, "bob")),),
    ),
    "users_keep_their_wallet": (
        lambda snapshot: getattr(snapshot.users.get(ALICE), "wallet_id", None),
        (
            both(
                lambda tx: tx.wallets.add(new_wallet("new")),
                lambda tx: tx.users.save(user(wallet_id=WalletId("wallet-new"))),
            ),
        ),
    ),
    "second_factors_keep_their_secret": (
        lambda snapshot: getattr(snapshot.second_factors.get(ALICE), "sealed_secret", None),
        (
            lambda tx: tx.second_factors.save(second_factor(sealed_secret="another")),
            lambda tx: tx.second_factors.save(second_factor(confirmed_at=later(9))),
        ),
    ),
    "api_keys_keep_their_terms": (
        key_terms,
        (lambda tx: tx.api_keys.save(api_key(name="Another", monthly_cap=None, digest="another")),),
    ),
    "api_keys_keep_their_scopes": (
        lambda snapshot: getattr(snapshot.api_keys.get(CI), "scopes", None),
        (lambda tx: tx.api_keys.save(api_key(scopes=frozenset(Scope))),),
    ),
    "api_key_months_keep_their_terms": (
        lambda snapshot: getattr(snapshot.api_keys.month(CI, month_start(NOON)), "monthly_cap", None),
        (month(monthly_cap=99),),
    ),
    "redeem_codes_keep_their_terms": (
        lambda snapshot: snapshot.codes.newest(after=None, limit=9),
        (lambda tx: tx.codes.save(code(uses=3)), lambda tx: tx.codes.save(code(digest="another"))),
    ),
    "holds_keep_their_terms": (
        hold_terms,
        (
            save_hold(amount=7),
            save_hold(subject=Subject("caption", "2")),
            save_hold(purpose=SORRY),
            save_hold(expires_at=later(90)),
            save_hold(wallet_id=WalletId("wallet-bob")),
        ),
    ),
    "interactions_keep_their_terms": (
        charged_interaction,
        (end(held=99), end(model="another"), end(created_at=later(1))),
    ),
    "interactions_keep_their_key": (charged_interaction, (end(api_key_id=CI),)),
    "interactions_keep_their_parent": (charged_interaction, (end(parent_id=InteractionId("second")),)),
    "interactions_stay_cached_or_not": (charged_interaction, (end(cached=True),)),
    "interactions_stay_temporary_or_not": (charged_interaction, (end(temporary=True, prompt="", reply=""),)),
    "interactions_are_erased_or_kept": (charged_interaction, (end(prompt="Another question?"),)),
    "payments_keep_their_bonus": (payment_order, (save_payment("pending", **CONFIRMED, bonus=1),)),
    "payments_keep_their_order": (
        payment_order,
        (save_payment("pending", **CONFIRMED, credits=1), save_payment("pending", **CONFIRMED, package="large")),
    ),
    "idempotency_keys_stay_as_they_are": (
        lambda snapshot: snapshot.idempotency.get(ALICE, "key"),
        (lambda tx: tx.idempotency.claim(replace(RECORD, fingerprint="another")),),
    ),
    "idempotency_keys_come_in_once": (
        lambda snapshot: snapshot.idempotency.get(ALICE, "key"),
        (lambda tx: tx.idempotency.claim(RECORD),),
    ),
    "interactions_are_asked_to_stop_once": (
        charged_interaction,
        (
            both(
                lambda tx: tx.interactions.ask_to_stop(InteractionId("first"), at=later(1)),
                lambda tx: tx.interactions.ask_to_stop(InteractionId("first"), at=later(2)),
            ),
        ),
    ),
}
"""What never changes: how to see it, and acts that the store may refuse or pass over, but that never change it."""

_TABLES = (
    *(
        "api_key_months",
        "audit_trail",
        "audit_trail_counts",
        "api_keys",
        "holds",
        "idempotency_keys",
        "interactions",
        "ledger_entries",
        "payments",
        "redeem_codes",
    ),
    *("users", "wallets"),
)

OUT_OF_REACH = frozenset(
    {
        # No repository deletes a row of the books, or empties a table.
        *(f"{table}_stay" for table in _TABLES),
        *(f"{table}_stay_together" for table in _TABLES),
        # No repository writes a month or an event that is there already as a new one, or changes an event or a record.
        *("api_key_months_come_in_anew", "outbox_come_in_anew", "outbox_stays_as_it_is", "audit_trail_stays_as_it_is"),
        # No repository knows the number that SQLite gives to a row.
        *(f"{table}_keep_their_numbers" for table in ("interactions", "payments", "users")),
        # No repository sees the count of the audit trail, which the database keeps by itself.
        *("audit_trail_are_counted", "audit_trail_counts_come_in_anew", "audit_trail_counts_grow"),
        # No repository replaces a row: names and addresses that are taken are refused before (see `TAKEN`).
        "users_keep_apart",
    }
)
"""Triggers of the databases that cannot be broken through the repositories."""
