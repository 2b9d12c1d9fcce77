"""The use cases of accounts, of the staff and of the background that write; see `fault_cases`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.application.administration.create_user import NewUser
from chatbill.application.administration.update_user import UserChange
from chatbill.application.assembly import UseCases
from chatbill.application.billing.redeem import Redemption
from chatbill.application.chat.events import Completed
from chatbill.application.chat.messages import Message
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.monitoring.alerts import AlertKind, Finding
from tests.kit.support import MINI, PASSWORD

if TYPE_CHECKING:
    from tests.torture.fault_cases import Scene

WHY = AdminAction(reason="A test")


async def redeem(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.billing.redeem(scene.alice, Redemption(code=scene.code.text))


async def regenerate(use_cases: UseCases, scene: Scene) -> object:
    message = Message(model=MINI, text="", idempotency_key="again")
    end = await (await use_cases.chat.regenerate(scene.alice, scene.charged.id, message)).finished()
    return "completed" if isinstance(end, Completed) else end


async def create_user(use_cases: UseCases, scene: Scene) -> object:
    order = NewUser(username="carol", email="carol@example.org")
    return await use_cases.administration.create_user(scene.admin, order)


async def suspend(use_cases: UseCases, scene: Scene) -> object:
    change = UserChange(state=AccountState.SUSPENDED)
    return await use_cases.administration.update_user(scene.admin, scene.alice.user_id, change, WHY)


async def change_role(use_cases: UseCases, scene: Scene) -> object:
    change = UserChange(role=UserRole.FINANCE)
    return await use_cases.administration.update_user(scene.admin, scene.alice.user_id, change, WHY)


async def erase_user(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.administration.erase_user(scene.admin, scene.alice.user_id, WHY)


async def erase_own_account(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.administration.erase_own_account(scene.alice, PASSWORD)


async def create_code(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.administration.create_code(scene.admin, NewCode(credits=5))


async def withdraw_code(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.administration.withdraw_code(scene.admin, scene.code.code.id, WHY)


async def sign_out_user(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.administration.sign_out_user(scene.admin, scene.alice.user_id, WHY)


async def make_password_link(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.administration.make_password_link(scene.admin, scene.alice.user_id, WHY)


async def reset_password(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.accounts.reset_password(PasswordReset(token=scene.link.token, new="another long password"))


async def create_api_key(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.create_api_key(scene.alice, NewApiKey(name="CI", password=PASSWORD))


async def update_account(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.update_account(scene.alice, AccountChange(username="alicia"))


async def end_session(use_cases: UseCases, scene: Scene) -> None:
    session_id = scene.signed_in.principal.session_id
    assert session_id
    await use_cases.accounts.end_session(scene.alice, session_id)


async def set_second_factor(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.set_second_factor(scene.alice, PASSWORD)


async def record_findings(use_cases: UseCases, scene: Scene) -> object:
    finding = Finding(kind=AlertKind.LEDGER_MISMATCH, subject="ledger", source="store")
    return await use_cases.monitoring.record_findings("store", [finding])


async def roll_up(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.reports.roll_up()


async def forget_sessions(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.maintenance.forget_sessions()


async def run_jobs(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.jobs.run_jobs()
