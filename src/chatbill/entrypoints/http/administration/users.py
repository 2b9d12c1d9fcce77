"""Routes for the accounts of other people."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.users import UserFilter
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.errors import InvalidRequest, NotFound
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.http.administration import examples
from chatbill.entrypoints.http.administration.bodies import NewUserBody, ReasonBody, UserBody
from chatbill.entrypoints.http.administration.parameters import Reason
from chatbill.entrypoints.http.administration.views import NewUserView, PasswordLinkView, UsersView, UserView
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.authentication import PERMISSION
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import Cursor, Injected, PageLimit
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.disconnects import while_connected
from chatbill.entrypoints.web.parameters import checked_choice, checked_text, could_be_id
from chatbill.entrypoints.web.password_links import link_address

PROBLEMS = ("invalid_request", "not_found", "conflict")
ROLES = tuple(role.value for role in UserRole)
STATES = tuple(state.value for state in AccountState)

NameText = Annotated[str | None, QueryParameter(name="q", description="Part of a username or an e-mail address.")]
RoleName = Annotated[str | None, QueryParameter(description="The role.", schema_extra={"enum": list(ROLES)})]
StateName = Annotated[
    str | None, QueryParameter(name="state", description="The state.", schema_extra={"enum": list(STATES)})
]


class UserController(Controller):
    """The accounts of other people, for members of the staff."""

    path = "/admin/users"
    tags = ("Administration",)

    @get(
        "/",
        opt={PERMISSION: Permission.READ_PEOPLE},
        operation_id="listUsers",
        summary="List users",
        responses=documented(
            200, UsersView, "Users, newest first.", examples.USERS, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def list_users(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        text: NameText = None,
        role: RoleName = None,
        in_state: StateName = None,
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> UsersView:
        """Find users by a part of the name or address, the role and the state. Credits need `read_money`."""
        filters = UserFilter(
            text=checked_text("q", text),
            role=checked_choice("role", role, UserRole),
            state=checked_choice("state", in_state, AccountState),
        )
        return UsersView.of(await use_cases.administration.list_users(principal, filters, limit=limit, cursor=cursor))

    @post(
        "/",
        status_code=201,
        opt={PERMISSION: Permission.MANAGE_PEOPLE},
        operation_id="createUser",
        summary="Create a user",
        responses=documented(
            201,
            NewUserView,
            "The user. `setup_url` is a link to set a password, shown once; null where a password was given.",
            examples.NEW_USER,
            signed_in=True,
            problems=("invalid_request", "username_taken", "email_taken", "rate_limited", "overloaded"),
        ),
    )
    async def create_user(
        self,
        request: JsonRequest,
        data: JSONBody[NewUserBody],
        use_cases: Injected[UseCases],
        config: Injected[HttpConfig],
        principal: Injected[Principal],
    ) -> NewUserView:
        """Open an account with the welcome credits, also where registration is closed."""
        administration = use_cases.administration
        created = await while_connected(request.receive, administration.create_user(principal, data.to_order()))
        record = await administration.show_user(principal, created.user.id)
        link = created.link and link_address(_base(request, config), created.link.token)
        return NewUserView.of(record, setup_url=link)

    @get(
        "/{user_id:str}",
        opt={PERMISSION: Permission.READ_PEOPLE},
        operation_id="showUser",
        summary="Show a user",
        responses=documented(200, UserView, "The user.", examples.USER, signed_in=True, problems=("not_found",)),
    )
    async def show_user(
        self, user_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> UserView:
        """Return one user. Credits need `read_money`."""
        return UserView.of(await use_cases.administration.show_user(principal, _id(user_id)))

    @patch(
        "/{user_id:str}",
        opt={PERMISSION: Permission.MANAGE_PEOPLE},
        operation_id="updateUser",
        summary="Change role or state",
        responses=documented(
            200, UserView, "The user after the change.", examples.USER, signed_in=True, problems=PROBLEMS
        ),
    )
    async def update_user(
        self,
        user_id: FromPath[str],
        data: JSONBody[UserBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> UserView:
        """Give a role (needs `manage_roles`), suspend, or activate. Not for your own account.

        The last administrator keeps the role and stays active. You need every permission that the user has.
        """
        administration = use_cases.administration
        user = await administration.update_user(principal, _id(user_id), data.to_change(), data.to_order())
        return UserView.of(await administration.show_user(principal, user.id))

    @delete(
        "/{user_id:str}",
        status_code=204,
        opt={PERMISSION: Permission.ERASE_PEOPLE},
        operation_id="eraseUser",
        summary="Erase a user",
        responses=documented_empty(204, "The person is erased; the figures stay.", signed_in=True, problems=PROBLEMS),
    )
    async def erase_user(
        self,
        request: JsonRequest,
        user_id: FromPath[str],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        reason: Reason = None,
    ) -> None:
        """Erase names, password, sessions and texts for good, and revoke the API keys. The ledger stays as it is.

        The reason may also come as `{"reason": …}` in a JSON body.
        """
        order = await _order_of(request) if reason is None else AdminAction(reason=reason)
        await use_cases.administration.erase_user(principal, _id(user_id), order)

    @post(
        "/{user_id:str}/sign-out",
        status_code=204,
        opt={PERMISSION: Permission.MANAGE_PEOPLE},
        operation_id="signOutUser",
        summary="Sign a user out everywhere",
        responses=documented_empty(204, "All sessions have ended.", signed_in=True, problems=PROBLEMS),
    )
    async def sign_out_user(
        self,
        user_id: FromPath[str],
        data: JSONBody[ReasonBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> None:
        """End all sessions of a user. API keys stay."""
        await use_cases.administration.sign_out_user(principal, _id(user_id), data.to_order())

    @post(
        "/{user_id:str}/password-reset",
        status_code=201,
        opt={PERMISSION: Permission.MANAGE_PEOPLE},
        operation_id="makePasswordLink",
        summary="Make a link for a new password",
        responses=documented(
            201, PasswordLinkView, "The link, shown once.", examples.PASSWORD_LINK, signed_in=True, problems=PROBLEMS
        ),
    )
    async def make_password_link(
        self,
        user_id: FromPath[str],
        data: JSONBody[ReasonBody],
        request: JsonRequest,
        use_cases: Injected[UseCases],
        config: Injected[HttpConfig],
        principal: Injected[Principal],
    ) -> PasswordLinkView:
        """Make a link that is good once and for a day. A link made before stops working; the password stays so long."""
        link = await use_cases.administration.make_password_link(principal, _id(user_id), data.to_order())
        return PasswordLinkView.of(link, _base(request, config))


def _id(user_id: str) -> UserId:
    if not could_be_id(user_id):
        raise NotFound("user")
    return UserId(user_id)


async def _order_of(request: JsonRequest) -> AdminAction:
    """Return the reason in the body, which few clients send with DELETE."""
    if not await request.body():
        raise InvalidRequest.of("reason", "required")
    return ReasonBody.model_validate(await request.json()).to_order()


def _base(request: JsonRequest, config: HttpConfig) -> str:
    """Return the address by which the client reaches the service."""
    return f"{request.url.scheme}://{request.url.netloc}{config.root_path}"
