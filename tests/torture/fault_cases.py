"""Every use case that writes, with what must be there first and what one effect of it looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chatbill.adapters.system import SystemClock
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.links import IssuedLink
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import IssuedCode
from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.events import Completed
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.clock import Clock
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from tests.kit.support import MINI, PASSWORD
from tests.torture import account_cases
from tests.torture.service import in_two_months, tomorrow

NOW = SystemClock()


@dataclass
class Scene:
    """What every case finds."""

    alice: Principal
    admin: Principal
    signed_in: SignedIn
    charged: Interaction
    running: Reply
    code: IssuedCode
    link: IssuedLink


@dataclass(frozen=True)
class Case:
    """`act` is done once, and again after a fault; the money must then be as after one act without a fault.

    `ends` are words of errors that are fair when it is done again: the first time had its effect.
    """

    act: Callable[[UseCases, Scene], Awaitable[object]]
    ends: tuple[str, ...] = ()
    clock: Clock = NOW


async def register(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.register(
        Registration(username="carol", email="carol@example.org", password=PASSWORD)
    )


async def sign_in(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))


async def refresh(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.accounts.refresh(scene.signed_in.refresh_token)


async def sign_out(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.accounts.sign_out(scene.alice)


async def change_password(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.accounts.change_password(scene.alice, PasswordChange(current=PASSWORD, new="another long password"))


async def send_message(use_cases: UseCases, scene: Scene) -> object:
    message = Message(model=MINI, text="hello you", idempotency_key="ask")
    end = await (await use_cases.chat.send_message(scene.alice, message)).finished()
    return "completed" if isinstance(end, Completed) else end


async def continue_conversation(use_cases: UseCases, scene: Scene) -> object:
    message = Message(
        model=MINI, text="and more", idempotency_key="go on", conversation_id=scene.charged.conversation_id
    )
    end = await (await use_cases.chat.send_message(scene.alice, message)).finished()
    return "completed" if isinstance(end, Completed) else end


async def stop_elsewhere(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.chat.stop_message(scene.alice, scene.running.accepted.interaction_id)


async def top_up(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.billing.place_order(scene.alice, Order(amount=7, idempotency_key="pay"))


async def refund(use_cases: UseCases, scene: Scene) -> object:
    order = AdminAction(reason="it was wrong", idempotency_key="refund")
    return await use_cases.administration.refund(scene.admin, scene.charged.id, order)


async def adjust_credits(use_cases: UseCases, scene: Scene) -> object:
    order = AdminAction(reason="a present", idempotency_key="adjust")
    return await use_cases.administration.adjust_credits(scene.admin, scene.alice.user_id, 5, order)


async def expire_holds(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.maintenance.expire_holds()


async def change_conversation(use_cases: UseCases, scene: Scene) -> object:
    return await use_cases.chat.change_conversation(scene.alice, scene.charged.conversation_id, title="Another title")


async def delete_conversation(use_cases: UseCases, scene: Scene) -> None:
    await use_cases.chat.delete_conversation(scene.alice, scene.charged.conversation_id)


CASES: dict[str, Case] = {
    "register": Case(register, ends=("username_taken",)),
    "sign_in": Case(sign_in),
    # A refresh token is good once. When the answer with the next one was lost, the person signs in again.
    "refresh": Case(refresh, ends=("unauthenticated",)),
    "sign_out": Case(sign_out),
    "change_password": Case(change_password, ends=("invalid_credentials",)),
    "send_message": Case(send_message),
    "continue_conversation": Case(continue_conversation),
    "stop_elsewhere": Case(stop_elsewhere),
    "top_up": Case(top_up),
    "refund": Case(refund),
    "adjust_credits": Case(adjust_credits),
    "expire_holds": Case(expire_holds, clock=tomorrow),
    "change_conversation": Case(change_conversation),
    "delete_conversation": Case(delete_conversation, ends=("not_found",)),
    "redeem": Case(account_cases.redeem, ends=("conflict",)),
    "regenerate": Case(account_cases.regenerate),
    "create_user": Case(account_cases.create_user, ends=("username_taken",)),
    "suspend": Case(account_cases.suspend),
    "change_role": Case(account_cases.change_role),
    "erase_user": Case(account_cases.erase_user),
    "erase_own_account": Case(account_cases.erase_own_account, ends=("invalid_credentials",)),
    "create_code": Case(account_cases.create_code),
    "withdraw_code": Case(account_cases.withdraw_code),
    "sign_out_user": Case(account_cases.sign_out_user),
    "make_password_link": Case(account_cases.make_password_link),
    "reset_password": Case(account_cases.reset_password, ends=("invalid_request",)),
    "create_api_key": Case(account_cases.create_api_key, ends=("conflict",)),
    "update_account": Case(account_cases.update_account),
    "end_session": Case(account_cases.end_session),
    "set_second_factor": Case(account_cases.set_second_factor),
    "record_findings": Case(account_cases.record_findings),
    "roll_up": Case(account_cases.roll_up),
    "forget_sessions": Case(account_cases.forget_sessions, clock=in_two_months),
    "run_jobs": Case(account_cases.run_jobs, clock=tomorrow),
}
