"""Routes without authentication: register, sign in, refresh the tokens."""

from __future__ import annotations

from litestar import Controller, MediaType, Response, post
from litestar.params import JSONBody

from chatbill.application.assembly import UseCases
from chatbill.entrypoints.http.accounts.bodies import (
    ForgottenPasswordBody,
    LoginBody,
    PasswordResetBody,
    RefreshBody,
    RegisterBody,
    VerificationBody,
)
from chatbill.entrypoints.http.accounts.views import TokensView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.accounts import AccountView
from chatbill.entrypoints.web.disconnects import while_connected


class SignInController(Controller):
    """Registration and sign-in."""

    path = "/auth"
    tags = ("Accounts",)

    @post(
        "/register",
        status_code=201,
        operation_id="register",
        summary="Register",
        responses=documented(
            201,
            AccountView,
            "The account, with the welcome credits in its wallet.",
            examples.ACCOUNT,
            problems=("invalid_request", "username_taken", "email_taken", "forbidden", "rate_limited", "overloaded"),
        ),
    )
    async def register(
        self,
        request: JsonRequest,
        data: JSONBody[RegisterBody],
        use_cases: Injected[UseCases],
        client_address: Injected[str],
    ) -> AccountView:
        """Make an account with a wallet. Names are unique regardless of letter case."""
        registering = use_cases.accounts.register(data.to_registration(client_address))
        return AccountView.of(await while_connected(request.receive, registering))

    @post(
        "/login",
        status_code=200,
        operation_id="login",
        summary="Sign in",
        responses=documented(
            200,
            TokensView,
            "An access token for requests, and a refresh token for the next pair.",
            examples.TOKENS,
            problems=(
                "invalid_request",
                "invalid_credentials",
                "second_factor_required",
                "forbidden",
                "rate_limited",
                "overloaded",
            ),
        ),
    )
    async def login(
        self,
        request: JsonRequest,
        data: JSONBody[LoginBody],
        use_cases: Injected[UseCases],
        client_address: Injected[str],
    ) -> TokensView:
        """Exchange a name and a password for tokens. Unknown names and wrong passwords get the same answer.

        If the account has a second factor, the right password alone is answered with 401 `second_factor_required`: send
        name, password and `code`.
        """
        credentials = data.to_credentials(client_address, request.headers.get("user-agent", ""))
        return TokensView.of(await while_connected(request.receive, use_cases.accounts.sign_in(credentials)))

    @post(
        "/refresh",
        status_code=200,
        operation_id="refresh",
        summary="Get the next pair of tokens",
        responses=documented(
            200,
            TokensView,
            "The next pair; the refresh token that was sent is no longer valid.",
            examples.TOKENS,
            problems=("invalid_request", "unauthenticated", "token_expired", "rate_limited"),
        ),
    )
    async def refresh(
        self, data: JSONBody[RefreshBody], use_cases: Injected[UseCases], client_address: Injected[str]
    ) -> TokensView:
        """Exchange a refresh token for new tokens. A second use ends the session, as it may be a copy."""
        return TokensView.of(await use_cases.accounts.refresh(data.refresh_token, client_address))

    @post(
        "/password/forgot",
        status_code=202,
        operation_id="forgetPassword",
        summary="Ask for a link for a new password",
        responses=documented_empty(
            202,
            "The same for every address. If an account has it and the service sends mail, a link is on its way.",
            problems=("invalid_request", "rate_limited"),
        ),
    )
    async def forget_password(
        self, data: JSONBody[ForgottenPasswordBody], use_cases: Injected[UseCases], client_address: Injected[str]
    ) -> Response[bytes]:
        """Send a link to the address. It is good once and for a day. A second factor stays as it is."""
        await use_cases.accounts.forget_password(data.email, client_address)
        return Response(b"", media_type=MediaType.TEXT)

    @post(
        "/email/verify",
        status_code=204,
        operation_id="verifyEmail",
        summary="Verify an e-mail address",
        responses=documented_empty(
            204,
            "The address is verified, and the token is used up.",
            problems=("invalid_request", "forbidden", "rate_limited"),
        ),
    )
    async def verify_email(
        self, data: JSONBody[VerificationBody], use_cases: Injected[UseCases], client_address: Injected[str]
    ) -> None:
        """Send the token of the letter that came after the registration, or after a change of the address."""
        await use_cases.accounts.verify_email(data.token, client_address)

    @post(
        "/password/reset",
        status_code=204,
        operation_id="resetPassword",
        summary="Set a new password with a link",
        responses=documented_empty(
            204,
            "The new password is set, the link is used up, and all sessions have ended.",
            problems=("invalid_request", "forbidden", "rate_limited", "overloaded"),
        ),
    )
    async def reset_password(
        self,
        request: JsonRequest,
        data: JSONBody[PasswordResetBody],
        use_cases: Injected[UseCases],
        client_address: Injected[str],
    ) -> None:
        """Set a new password with the link that an administrator made. It is good once and for a day."""
        await while_connected(request.receive, use_cases.accounts.reset_password(data.to_reset(client_address)))
