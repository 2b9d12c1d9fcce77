"""Routes for signed-in users: read the account, sign out, change the password."""

from __future__ import annotations

from litestar import Controller, delete, get, patch, post
from litestar.params import JSONBody

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.entrypoints.http.accounts.bodies import AccountBody, EraseBody, PasswordBody
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.accounts import AccountView
from chatbill.entrypoints.web.disconnects import while_connected


class AccountController(Controller):
    """The account of the user."""

    path = "/auth"
    tags = ("Accounts",)

    @get(
        "/me",
        operation_id="readAccount",
        opt={SCOPE: Scope.ACCOUNT},
        summary="Read the account",
        responses=documented(200, AccountView, "The account as it is now.", examples.ACCOUNT, signed_in=True),
    )
    async def read_account(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> AccountView:
        """Return the account behind the access token, with its balance in credits."""
        return AccountView.of(await use_cases.accounts.read_account(principal))

    @patch(
        "/me",
        operation_id="updateAccount",
        summary="Change names and preferences",
        responses=documented(
            200,
            AccountView,
            "The account as it is after the change.",
            examples.ACCOUNT,
            signed_in=True,
            problems=(
                "invalid_request",
                "invalid_credentials",
                "forbidden",
                "password_required",
                "username_taken",
                "email_taken",
                "rate_limited",
                "overloaded",
            ),
        ),
    )
    async def update_account(
        self,
        request: JsonRequest,
        data: JSONBody[AccountBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> AccountView:
        """Change what is given; the rest stays as it is. You sign in with the new name or address from then on.

        If you signed in more than ten minutes ago (`CHATBILL_FRESH_SIGN_IN_S`), send your `password` with another
        `email`.
        """
        changing = use_cases.accounts.update_account(principal, data.to_change())
        return AccountView.of(await while_connected(request.receive, changing))

    @delete(
        "/me",
        status_code=204,
        operation_id="eraseAccount",
        summary="Erase the account",
        responses=documented_empty(
            204,
            "The account is erased for good.",
            signed_in=True,
            problems=("invalid_request", "invalid_credentials", "conflict", "rate_limited", "overloaded"),
        ),
    )
    async def erase_account(
        self,
        request: JsonRequest,
        data: JSONBody[EraseBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> None:
        """Erase your account for good: names, texts, sessions, and API keys. What credits are left is lost.

        The figures of your messages and the ledger stay, without your name.
        """
        erasing = use_cases.administration.erase_own_account(principal, data.password)
        await while_connected(request.receive, erasing)

    @post(
        "/logout",
        status_code=204,
        operation_id="logout",
        summary="Sign out",
        responses=documented_empty(204, "The access token and the refresh token are no longer valid.", signed_in=True),
    )
    async def logout(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> None:
        """End this session. Other sessions of the account go on."""
        await use_cases.accounts.sign_out(principal)

    @post(
        "/password",
        status_code=204,
        operation_id="changePassword",
        summary="Change the password",
        responses=documented_empty(
            204,
            "The new password is set, and every other session has ended.",
            signed_in=True,
            problems=("invalid_request", "invalid_credentials", "rate_limited", "overloaded"),
        ),
    )
    async def change_password(
        self,
        request: JsonRequest,
        data: JSONBody[PasswordBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> None:
        """Set a new password. This session goes on, every other one ends.

        API keys stay, unless `revoke_api_keys` is true.
        """
        changing = use_cases.accounts.change_password(principal, data.to_change())
        await while_connected(request.receive, changing)
