"""The bugs that are put into the path of money, one at a time, and the tests that must catch each."""

from __future__ import annotations

from tests.torture.job_mutations import JOB_MUTANTS
from tests.torture.report_mutations import REPORT_MUTANTS
from tests.torture.seeding import Edit, Mutant

WALLETS = "src/chatbill/domain/billing/wallets.py"
CHAT = "src/chatbill/domain/chat/interactions.py"
CREDITS = "src/chatbill/domain/billing/prices.py"
KEYS = "src/chatbill/domain/shared/idempotency.py"
API_KEYS = "src/chatbill/domain/accounts/api_keys.py"
ACCEPTANCE = "src/chatbill/application/chat/acceptance.py"
SETTLEMENT = "src/chatbill/application/chat/settlement.py"
REPLIES = "src/chatbill/application/chat/replies.py"
SEND = "src/chatbill/application/chat/send_message.py"
LEASE = "src/chatbill/application/shared/lease.py"
CONFIRM = "src/chatbill/application/billing/confirm_payment.py"
PAYMENTS = "src/chatbill/domain/billing/payments.py"
POSTINGS = "src/chatbill/application/billing/postings.py"
REFUND = "src/chatbill/application/administration/refund.py"
USER_ACTIONS = "src/chatbill/application/administration/user_actions.py"
ADJUST = "src/chatbill/application/administration/adjust_credits.py"
SIGN_IN = "src/chatbill/application/accounts/sign_in.py"
CODES = "src/chatbill/domain/billing/codes.py"
REDEEM = "src/chatbill/application/billing/redeem.py"
ERASE = "src/chatbill/application/administration/erase_user.py"
MEMORY = "src/chatbill/adapters/memory/repositories/interactions.py"
SQL_INTERACTIONS = "src/chatbill/adapters/persistence/repositories/interactions.py"
SQL_WALLETS = "src/chatbill/adapters/persistence/repositories/wallets.py"
WRITER = "src/chatbill/adapters/persistence/sqlite/workers.py"
DRIVER = "src/chatbill/adapters/persistence/sqlite/driver.py"

AUDIT = "src/chatbill/domain/audit/proof.py"
AUDIT_RULES = "src/chatbill/domain/audit/rules.py"
SQL_BOOKS = "src/chatbill/adapters/persistence/audit/reader.py"
T_AUDIT = "tests/domain/audit/test_audit.py"
T_SQL_AUDIT = "tests/adapters/persistence/audit/test_audit.py"
T_SQL_TRAIL = "tests/adapters/persistence/audit/test_trail.py"
T_ABANDONED = "tests/application/maintenance/test_release_abandoned.py"
T_SEND = "tests/application/chat/test_send_message.py"
T_ENDINGS = "tests/application/chat/test_endings.py"
T_IDEMPOTENCY = "tests/application/chat/test_idempotency.py"
T_API_KEYS = "tests/application/accounts/test_api_keys.py::TestCaps"
T_ORDERS = "tests/application/billing/test_place_order.py"
T_CONFIRM = "tests/application/billing/test_confirm_payment.py"
T_HAND = "tests/application/administration/test_admin_action.py"
T_RANKS = "tests/application/administration/test_ranks.py"
T_ERASING = "tests/application/administration/test_erasing.py"
T_REDEEM = "tests/application/billing/test_redeem.py"
T_TRAIL = "tests/application/accounts/test_trail.py"
T_AUDITED_TRAIL = "tests/domain/audit/test_trail.py"
T_WALLETS = "tests/domain/billing/test_wallets.py"
T_CREDITS = "tests/domain/billing/test_prices.py"
T_STORES = "tests/contract/test_stores.py"
T_REPOSITORIES = "tests/contract/repositories/test_billing.py"
T_SQLITE = "tests/adapters/persistence/sqlite/test_store.py"
T_FAULTS = "tests/torture/test_faults.py"

MUTANTS = (
    Mutant(
        "a hold is not checked against what is available",
        (Edit(WALLETS, "if amount > self.available:", "if False:"),),
        (f"{T_SEND}::test_a_wallet_of_ten_pays_for_ten_of_fifty_messages_sent_at_once",),
    ),
    Mutant(
        "a hold is captured or released again",
        (Edit(WALLETS, "if not hold.is_pending:", "if False:"),),
        (f"{T_WALLETS}::test_a_hold_is_settled_once",),
    ),
    Mutant(
        "a request is settled without a look whether it still runs",
        (
            Edit(SQL_INTERACTIONS, ".where(equals(_I.id), _RUNNING)", ".where(equals(_I.id))"),
            Edit(MEMORY, "if stored is None or not stored.is_running:", "if stored is None:"),
        ),
        (
            f"{T_ENDINGS}::test_capture_sweep_and_stop_racing_have_one_winner",
            "tests/contract/repositories/test_chat.py::TestInteractions::test_end_once",
        ),
    ),
    Mutant(
        "the charge and the reply are kept in two transactions",
        (
            Edit(SETTLEMENT, "    tx.interactions.save(interaction)\n", ""),
            Edit(
                SETTLEMENT,
                "return await store.write(lambda tx: record_end(tx, work, ending, at=at, entry_id=entry_id))",
                "done = await store.write(lambda tx: record_end(tx, work, ending, at=at, entry_id=entry_id))\n"
                "        await store.write(lambda tx: tx.interactions.save(done))\n"
                "        return done",
            ),
        ),
        (f"{T_FAULTS}::test_a_fault_anywhere_leaves_nothing_half_done[send_message]",),
    ),
    Mutant(
        "the credits of a payment and its status are kept in two transactions",
        (
            Edit(
                CONFIRM,
                "return await self.store.write(lambda tx: _record(tx, known, event, entry_id=entry_id, at=now))\n",
                "done = await self.store.write(lambda tx: _record(tx, known, event, entry_id=entry_id, at=now))\n"
                "        await self.store.write(lambda tx: tx.payments.save(done))\n"
                "        return done\n",
            ),
            Edit(CONFIRM, "    tx.payments.save(payment)\n    return payment\n", "    return payment\n"),
        ),
        (f"{T_FAULTS}::test_a_fault_anywhere_leaves_nothing_half_done[top_up]",),
    ),
    Mutant(
        "answers go out before the commit they rest on",
        (
            Edit(WRITER, "import AnyJob, fail_all", "import AnyJob, deliver, fail_all"),
            Edit(
                WRITER,
                "        try:\n            job.succeed(job.work(transaction))\n",
                "        try:\n            job.succeed(job.work(transaction))\n            deliver((job,))\n",
            ),
        ),
        (f"{T_SQLITE}::test_an_answer_comes_after_the_commit_that_it_rests_on",),
    ),
    Mutant(
        "what failed within a batch is kept with the batch",
        (Edit(WRITER, '            if job.has_failed:\n                connection.command("ROLLBACK TO work")\n', ""),),
        (f"{T_STORES}::test_an_error_in_one_of_many_simultaneous_works_takes_nothing_from_the_others",),
    ),
    Mutant(
        "commits are not synced to the disk",
        (Edit(DRIVER, '"PRAGMA synchronous = FULL"', '"PRAGMA synchronous = NORMAL"'),),
        (f"{T_SQLITE}::test_every_commit_is_synced",),
    ),
    Mutant(
        "the sweep does not look at the time",
        (Edit(SQL_WALLETS, 'holds.c.expires_at <= bindparam("now")', 'holds.c.expires_at != bindparam("now")'),),
        (f"{T_REPOSITORIES}::TestHolds::test_that_are_due_come_oldest_first_up_to_the_limit",),
    ),
    Mutant(
        "a charge is refunded again",
        (
            Edit(WALLETS, "if not 0 < amount <= hold.refundable:", "if not 0 < amount <= hold.captured:"),
            Edit(REFUND, "hold.refundable == 0:", "hold.captured == 0:"),
            Edit(REFUND, "given = hold.refundable if", "given = hold.captured if"),
        ),
        (f"{T_HAND}::test_refunds_together_are_never_more_than_the_charge",),
    ),
    Mutant(
        "a refund is more than its charge",
        (Edit(WALLETS, "if not 0 < amount <= hold.refundable:", "if not 0 < amount:"),),
        (f"{T_HAND}::test_a_refund_outside_of_the_charge_is_refused",),
    ),
    Mutant(
        "a failed reply is charged",
        (Edit(CHAT, "if outcome is Outcome.COMPLETED or (", "if outcome in (Outcome.COMPLETED, Outcome.FAILED) or ("),),
        (f"{T_ENDINGS}::test_a_failure_is_never_charged_whatever_was_delivered",),
    ),
    Mutant(
        "a reply that timed out is charged",
        (
            Edit(
                CHAT,
                "if outcome is Outcome.COMPLETED or (",
                "if outcome in (Outcome.COMPLETED, Outcome.TIMED_OUT) or (",
            ),
        ),
        (f"{T_ENDINGS}::test_a_passed_deadline_is_never_charged_and_stops_the_computing",),
    ),
    Mutant(
        "a reply stopped before its first token is charged",
        (Edit(CHAT, "usage.completion_tokens > 0", "usage.completion_tokens >= 0"),),
        (f"{T_ENDINGS}::test_a_stop_before_the_first_token_costs_nothing",),
    ),
    Mutant(
        "a lost connection is charged for what was never taken",
        (Edit(REPLIES, "del self._written[self._taken :]", "pass"),),
        (f"{T_ENDINGS}::test_a_lost_connection_costs_what_was_taken_not_what_was_written",),
    ),
    Mutant(
        "a price is rounded down",
        (Edit(CREDITS, "-(-scaled // TOKENS_PER_UNIT)", "scaled // TOKENS_PER_UNIT"),),
        (f"{T_CREDITS}::test_a_token_part_is_rounded_up",),
    ),
    Mutant(
        "a key is remembered after the hold, in a transaction of its own",
        (
            Edit(
                ACCEPTANCE,
                "tx.idempotency.claim(record)",
                "tx.idempotency.get(interaction.user_id, record.key)",
            ),
            Edit(
                SEND,
                "            raise result\n        return result\n",
                "            raise result\n"
                "        if message.idempotency_key and isinstance(result, PendingInteraction):\n"
                "            record = IdempotencyRecord(\n"
                "                user_id=interaction.user_id,\n"
                "                key=message.idempotency_key,\n"
                "                fingerprint=message.fingerprint,\n"
                "                created_at=interaction.created_at,\n"
                "                subject_id=interaction.id,\n"
                "            )\n"
                "            await self.store.write(lambda tx: tx.idempotency.claim(record))\n"
                "        return result\n",
            ),
        ),
        (f"{T_FAULTS}::test_a_fault_anywhere_leaves_nothing_half_done[send_message]",),
    ),
    Mutant(
        "a process that is only slow is taken for a dead one",
        (Edit(LEASE, "unchanged + 1 if renewals == before else 0", "unchanged + 1"),),
        (f"{T_ABANDONED}::test_replies_of_a_process_that_is_alive_but_slow_go_on",),
    ),
    Mutant(
        "a lease ends while nobody can renew it",
        (
            Edit(
                LEASE,
                "(count, 0) for each, (count, _) in",
                "(count, n + 1) for each, (count, n) in",
            ),
        ),
        (f"{T_ABANDONED}::test_no_lease_ends_while_the_store_is_away",),
    ),
    Mutant(
        "a key is good for any request",
        (Edit(KEYS, "if fingerprint != self.fingerprint:", "if False:"),),
        (f"{T_IDEMPOTENCY}::test_the_same_key_with_another_message_is_refused",),
    ),
    Mutant(
        "a payment is confirmed again",
        (
            Edit(
                PAYMENTS,
                "    PaymentStatus.CONFIRMED: {PaymentStatus.REFUNDED},",
                "    PaymentStatus.CONFIRMED: {PaymentStatus.CONFIRMED, PaymentStatus.REFUNDED},",
            ),
        ),
        (f"{T_CONFIRM}::test_a_confirmed_payment_adds_its_credits_once", T_ORDERS),
    ),
    Mutant(
        "a wallet is saved over entries that it has not seen",
        (Edit(SQL_WALLETS, 'wallets.c.version <= bindparam("newest"),', 'bindparam("newest") >= 0,'),),
        (f"{T_SQLITE}::test_a_wallet_is_not_saved_over_entries_it_has_not_seen",),
    ),
    Mutant(
        "the release is forgotten where nothing is due",
        (Edit(POSTINGS, "    tx.wallets.save(released.wallet)\n", ""),),
        (f"{T_ENDINGS}::test_a_failure_is_never_charged_whatever_was_delivered",),
    ),
    Mutant(
        "an entry says the balance before it, not after it",
        (Edit(WALLETS, "balance_after=balance_after,", "balance_after=self.posted,"),),
        (f"{T_ORDERS}::test_a_package_adds_its_credits_and_an_entry",),
    ),
    Mutant(
        "a reply is charged for more than was held for it",
        (
            Edit(SETTLEMENT, "min(due_for(interaction.price, ending.outcome, ending.usage), hold.amount)",
                 "due_for(interaction.price, ending.outcome, ending.usage)"),
            Edit(WALLETS, "if type(amount) is not int or not 0 < amount <= hold.amount:", "if not 0 < amount:"),
        ),
        (f"{T_WALLETS}::test_a_capture_outside_of_the_hold_is_a_bug",),
    ),
    Mutant(
        "an adjustment takes more than there is",
        (Edit(WALLETS, "if amount < 0 and self.available + amount < -max_debt:", "if False:"),),
        (f"{T_HAND}::test_an_adjustment_goes_both_ways_and_not_below_zero",),
    ),
    Mutant(
        "a hold ends before the reply that it pays for may",
        (Edit(SEND, "seconds=self.drafts.bounds.deadline_s + self", "seconds=-1 + self"),),
        (f"{T_ENDINGS}::test_a_hold_that_outlives_its_reply_is_swept_and_the_late_reply_is_free", T_ENDINGS),
    ),
    Mutant(
        "the cap of an API key is not looked at",
        (Edit(API_KEYS, "if self.monthly_cap is not None and self.used + amount > self.monthly_cap:", "if False:"),),
        (f"{T_API_KEYS}::test_of_64_requests_at_once_exactly_those_within_the_cap_are_taken",),
    ),
    Mutant(
        "what a request did not cost is not given back to its API key",
        (Edit(SETTLEMENT, "cap.give_back(tx, hold.amount - charged, at=interaction.created_at)", "pass"),),
        (f"{T_API_KEYS}::test_what_a_hold_was_too_high_is_given_back",),
    ),
    Mutant(
        "a request counts for the month in which it ends",
        (Edit(SETTLEMENT, "hold.amount - charged, at=interaction.created_at)",
              "hold.amount - charged, at=interaction.finished_at or at)"),),
        (f"{T_API_KEYS}::test_a_request_counts_for_the_month_in_which_it_was_accepted",),
    ),
    Mutant(
        "the audit does not ask whose wallet paid",
        (Edit(AUDIT, "if settlement.interactions and settlement.user_id not in owners:", "if False:"),),
        (f"{T_AUDIT}::test_a_request_paid_with_the_wallet_of_another_is_a_difference",),
    ),
    Mutant(
        "the audit does not compare what hold and charge are for",
        (Edit(AUDIT_RULES, "if settlement.charges == 1 and settlement.charge_of != settlement.subject:", "if False:"),),
        (f"{T_AUDIT}::test_a_charge_for_another_request_than_its_hold_s_is_a_difference",),
    ),
    Mutant(
        "the audit does not miss a rule that the database has lost",
        (Edit(SQL_BOOKS, "self._connection.prefix) - found)", "self._connection.prefix) & set())"),),
        (f"{T_SQL_AUDIT}::test_a_rule_that_the_database_has_lost_is_named",),
    ),
    Mutant(
        "the last administrator loses the role",
        (Edit(USER_ACTIONS, "and user.is_enabled and not others:", "and user.is_enabled and False:"),),
        (f"{T_RANKS}::test_one_administrator_is_left_where_two_act_on_each_other_at_once",),
    ),
    Mutant(
        "people act on those who have more permissions",
        (Edit(USER_ACTIONS, "if not outranks(principal.role, role):", "if False:"),),
        (f"{T_RANKS}::test_people_act_on_those_alone_whose_permissions_they_have",),
    ),
    Mutant(
        "an adjustment leaves no record",
        (Edit(ADJUST, "            act.record_entry(", "            (lambda *_, **__: None)("),),
        (f"{T_RANKS}::test_credits_that_move_by_hand_are_recorded_with_their_entry",),
    ),
    Mutant(
        "a failed sign-in is recorded with its name",
        (Edit(SIGN_IN, '{"login": self.tokens.pseudonym(key)', '{"login": key'),),
        (f"{T_TRAIL}::test_a_wrong_password_is_recorded_with_a_pseudonym_and_never_the_name",),
    ),
    Mutant(
        "the refusal of a suspended account takes its record back",
        (Edit(SIGN_IN, "            return error\n", "            raise error\n"),),
        (f"{T_TRAIL}::test_a_sign_in_to_a_suspended_account_is_recorded_although_it_is_refused",),
    ),
    Mutant(
        "a code is redeemed by more people than it is for",
        (Edit(CODES, "if used >= self.uses:", "if used > self.uses:"),),
        (f"{T_REDEEM}::test_the_last_use_is_for_one_person",),
    ),
    Mutant(
        "a code is redeemed twice by one person",
        (Edit(REDEEM, "if tx.codes.was_redeemed(code.id, wallet.id):", "if False:"),),
        (f"{T_REDEEM}::test_one_person_twice_at_once_redeems_once",),
    ),
    Mutant(
        "a reply that is written while its person is erased is kept",
        (
            Edit(SQL_INTERACTIONS, "_REPLY = case((_I.prompt == _EMPTY, _EMPTY), else_=", "_REPLY = ("),
            Edit(MEMORY, 'else replace(interaction, prompt="", reply="")', 'else replace(interaction, prompt="")'),
        ),
        (f"{T_ERASING}::test_texts_go_also_those_of_a_reply_that_is_being_written",),
    ),
    Mutant(
        "the sessions of an erased person are kept",
        (Edit(ERASE, "sessions = tx.sessions.erase_of(user.id)", "sessions = 1"),),
        (f"{T_ERASING}::test_the_identity_goes_and_the_figures_stay",),
    ),
    Mutant(
        "the audit does not look for the record of an entry",
        (
            Edit(
                AUDIT_RULES,
                "    if found.action is None:\n",
                "    if found.action is None:\n        return\n    if found.action is None:\n",
            ),
        ),
        (f"{T_AUDITED_TRAIL}::test_an_entry_and_its_record_must_agree",),
    ),
    Mutant(
        "the audit does not count the records of the audit trail",
        (Edit(AUDIT_RULES, "if trail.found != trail.counted:", "if False:"),),
        (f"{T_SQL_TRAIL}::test_a_trail_that_was_emptied_is_noticed_also_where_no_credits_moved",),
    ),
    *REPORT_MUTANTS,
    *JOB_MUTANTS,
)  # fmt: skip
