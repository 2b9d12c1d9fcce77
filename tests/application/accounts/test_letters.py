"""Letters: links for a forgotten password and for an e-mail address, and the credits that come with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.update_user import UserChange
from chatbill.application.assembly import assemble
from chatbill.application.ports.mail import LetterKind
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.domain.accounts.users import AccountState
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Forbidden, InvalidRequest, RateLimited
from chatbill.domain.shared.ids import JobId
from tests.kit.letters import Letters
from tests.kit.staff import member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import PASSWORD, World, world
from tests.kit.waiting import eventually

NEW = "analytical engine 1"


@pytest.fixture
def outbox() -> Letters:
    return Letters()


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path, outbox: Letters) -> AsyncIterator[World]:
    store = STORES[request.param](tmp_path)
    yield world(store=store, mailer=outbox, welcome_after_verification=True)
    await store.close()


async def registered(here: World, name: str = "alice") -> None:
    await here.use_cases.accounts.register(Registration(username=name, email=f"{name}@example.org", password=PASSWORD))


async def jobs(here: World) -> list[Job]:
    found = await here.store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=99))
    return [job for job in reversed(found) if job.kind == "send_letter"]


async def balance(here: World) -> int | None:
    record = await here.use_cases.administration.show_user.unchecked("alice")
    return record.balance


async def forget(here: World, email: str, address: str = "here") -> None:
    """Ask, and wait until the address was looked up."""
    await here.use_cases.accounts.forget_password(email, address)
    await eventually(lambda: not here.use_cases.accounts.forget_password._running)


async def test_a_registration_sends_a_letter_and_its_token_verifies_the_address(here: World, outbox: Letters) -> None:
    await registered(here)
    assert outbox.letters == []
    await here.use_cases.jobs.run_jobs()
    (letter,) = outbox.letters
    assert (letter.kind, letter.to) == (LetterKind.VERIFICATION, "alice@example.org")
    signed_in = await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    alice = signed_in.principal
    assert not (await here.use_cases.accounts.read_account(alice)).email_verified
    await here.use_cases.accounts.verify_email(letter.token, "here")
    assert (await here.use_cases.accounts.read_account(alice)).email_verified
    with pytest.raises(InvalidRequest):
        await here.use_cases.accounts.verify_email(letter.token, "here")


async def test_no_row_holds_the_secret_of_a_letter(here: World, outbox: Letters) -> None:
    await registered(here)
    await forget(here, "alice@example.org")
    await here.use_cases.jobs.run_jobs()
    stored = await here.store.read(lambda snapshot: snapshot.users.by_login("alice"))
    for letter in outbox.letters:
        secret = letter.token.rpartition(".")[2]
        assert secret not in str(await jobs(here)) + str(stored) + str(await trail(here)) + repr(letter)
    assert "alice@" not in str(await jobs(here))


async def test_welcome_credits_come_once_with_the_first_verification(here: World, outbox: Letters) -> None:
    await registered(here)
    assert await balance(here) == 0
    await here.use_cases.jobs.run_jobs()
    verify = here.use_cases.accounts.verify_email
    ended = await asyncio.gather(*(verify(outbox.letters[0].token, "x") for _ in range(5)), return_exceptions=True)
    assert sorted(str(type(each).__name__) for each in ended) == ["InvalidRequest"] * 4 + ["NoneType"]
    assert await balance(here) == 100
    alice = (await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))).principal
    await here.use_cases.accounts.update_account(alice, AccountChange(email="ada@example.org"))
    assert not (await here.use_cases.accounts.read_account(alice)).email_verified
    await here.use_cases.jobs.run_jobs()
    assert outbox.letters[1].to == "ada@example.org"
    await verify(outbox.letters[1].token, "x")
    assert await balance(here) == 100
    records = await trail(here, AuditAction.EMAIL_VERIFIED)
    assert [dict(record.after) for record in records] == [{"credits": 100}, {"credits": 0}]
    assert (await here.use_cases.audit.verify_ledger(print)).agrees


async def test_a_token_of_the_address_before_verifies_nothing(here: World, outbox: Letters) -> None:
    await registered(here)
    await here.use_cases.jobs.run_jobs()
    alice = (await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))).principal
    await here.use_cases.accounts.update_account(alice, AccountChange(email="ada@example.org"))
    with pytest.raises(InvalidRequest):
        await here.use_cases.accounts.verify_email(outbox.letters[0].token, "x")
    await here.use_cases.jobs.run_jobs()
    here.clock.advance(86_400)
    for token in (outbox.letters[1].token, "nobody.secret", "x" * 999, ""):
        with pytest.raises(InvalidRequest):
            await here.use_cases.accounts.verify_email(token, "x")
    assert await balance(here) == 0


async def test_a_suspended_person_verifies_nothing(here: World, outbox: Letters) -> None:
    await registered(here)
    await here.use_cases.jobs.run_jobs()
    root = await member(here)
    alice = (await here.use_cases.administration.show_user.unchecked("alice")).user.id
    suspended = UserChange(state=AccountState.SUSPENDED)
    await here.use_cases.administration.update_user(root, alice, suspended, AdminAction(reason="Spam"))
    with pytest.raises(Forbidden):
        await here.use_cases.accounts.verify_email(outbox.letters[0].token, "x")
    sent = len(outbox.letters)
    await forget(here, "alice@example.org")
    assert len(outbox.letters) == sent


async def test_a_forgotten_password_is_set_anew_with_the_letter(here: World, outbox: Letters) -> None:
    await registered(here)
    await forget(here, "ALICE@example.org")
    await here.use_cases.jobs.run_jobs()
    letter = next(letter for letter in outbox.letters if letter.kind is LetterKind.PASSWORD_LINK)
    await here.use_cases.accounts.reset_password(PasswordReset(token=letter.token, new=NEW))
    await here.use_cases.accounts.sign_in(Credentials(login="alice", password=NEW))


async def test_only_the_address_of_an_account_gets_a_letter(here: World, outbox: Letters) -> None:
    await registered(here)
    await here.use_cases.jobs.run_jobs()
    before = len(await jobs(here))
    for email in ("nobody@example.org", "alice", "", "@", "x" * 999):
        await forget(here, email)
    assert len(await jobs(here)) == before


async def test_a_letter_that_was_not_taken_is_sent_again_with_another_link(here: World, outbox: Letters) -> None:
    await registered(here)
    outbox.broken = True
    await here.use_cases.jobs.run_jobs()
    (job,) = await jobs(here)
    assert (job.state, job.error) == (JobState.QUEUED, "mail_not_sent")
    outbox.broken = False
    here.clock.advance(60)
    await here.use_cases.jobs.run_jobs()
    (letter,) = outbox.letters
    assert letter.id == job.id
    await here.use_cases.accounts.verify_email(letter.token, "x")


async def test_an_address_that_was_verified_meanwhile_gets_no_letter(here: World, outbox: Letters) -> None:
    await registered(here)
    await here.use_cases.jobs.run_jobs()
    await here.use_cases.accounts.verify_email(outbox.letters[0].token, "x")
    (job,) = await jobs(here)
    again = Job(
        id=JobId("again"), kind=job.kind, created_at=job.created_at, due_at=job.due_at, parameters=job.parameters
    )
    await here.store.write(lambda tx: tx.jobs.add(again))
    await here.use_cases.jobs.run_jobs()
    assert len(outbox.letters) == 1


async def test_without_a_mail_server_nothing_is_queued_and_credits_come_at_once() -> None:
    here = world(welcome_after_verification=True)
    await registered(here)
    await forget(here, "alice@example.org")
    assert await jobs(here) == []
    assert await balance(here) == 100


async def test_letters_are_limited_for_an_address_for_a_person_and_in_all(outbox: Letters) -> None:
    here = world(rate_limits=MovingWindowRateLimits(), mailer=outbox)
    limits: dict[str, Any] = {
        "forgotten_passwords": Limit(name="each", times=5, window_s=60),
        "all_forgotten_passwords": Limit(name="all", times=7, window_s=60),
        "letters_of_person": Limit(name="person", times=2, window_s=60),
    }
    here = replace(here, use_cases=assemble(here.ports, replace(here.policy, **limits)))
    await registered(here)
    before = len(await jobs(here))
    for _ in range(5):
        await forget(here, "alice@example.org")
    assert len(await jobs(here)) == before + 2
    with pytest.raises(RateLimited):
        await forget(here, "nobody@example.org")
    for _ in range(2):
        await forget(here, "nobody@example.org", "there")
    with pytest.raises(RateLimited):
        await forget(here, "nobody@example.org", "elsewhere")


async def test_the_letter_for_an_address_is_sent_again_until_it_is_verified(here: World, outbox: Letters) -> None:
    await registered(here)
    alice = (await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))).principal
    await here.use_cases.accounts.send_verification(alice)
    await here.use_cases.jobs.run_jobs()
    first, second = outbox.letters
    with pytest.raises(InvalidRequest):
        await here.use_cases.accounts.verify_email(first.token, "here")
    await here.use_cases.accounts.verify_email(second.token, "here")
    await here.use_cases.accounts.send_verification(alice)
    await here.use_cases.jobs.run_jobs()
    assert len(outbox.letters) == 2


async def test_letters_that_are_asked_for_again_are_limited_for_each_person() -> None:
    limited = world(mailer=Letters(), rate_limits=MovingWindowRateLimits())
    alice = await limited.person()
    for _ in range(3):
        await limited.use_cases.accounts.send_verification(alice)
    with pytest.raises(RateLimited):
        await limited.use_cases.accounts.send_verification(alice)
