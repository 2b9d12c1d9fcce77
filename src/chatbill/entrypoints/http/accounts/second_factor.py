"""Routes for one's own second factor. They need an access token; an API key is not accepted."""

from __future__ import annotations

from litestar import Controller, delete, post
from litestar.params import JSONBody

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.entrypoints.http.accounts.bodies import CodeBody, FactorBody, FactorRemovalBody
from chatbill.entrypoints.http.accounts.views import RecoveryCodesView, SecretView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.disconnects import while_connected


class SecondFactorController(Controller):
    """The second factor of the user."""

    path = "/auth/totp"
    tags = ("Accounts",)

    @post(
        status_code=201,
        operation_id="setSecondFactor",
        summary="Set up a second factor",
        responses=documented(
            201,
            SecretView,
            "The secret for an app. It is shown this once.",
            examples.SECOND_FACTOR,
            signed_in=True,
            problems=(
                "invalid_request",
                "invalid_credentials",
                "password_required",
                "conflict",
                "rate_limited",
                "overloaded",
            ),
        ),
    )
    async def set_second_factor(
        self,
        request: JsonRequest,
        data: JSONBody[FactorBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> SecretView:
        """Make a secret for an app that shows one-time codes (TOTP). Sign-ins need a code once you have confirmed it.

        If you signed in more than ten minutes ago (`CHATBILL_FRESH_SIGN_IN_S`), send your `password` too. A secret that
        was not confirmed is replaced.
        """
        setting = use_cases.accounts.set_second_factor(principal, data.password)
        return SecretView.of(await while_connected(request.receive, setting))

    @post(
        "/confirm",
        status_code=200,
        operation_id="confirmSecondFactor",
        summary="Confirm the second factor",
        responses=documented(
            200,
            RecoveryCodesView,
            "The recovery codes. They are shown this once.",
            examples.RECOVERY_CODES,
            signed_in=True,
            problems=("invalid_request", "invalid_credentials", "not_found", "conflict", "rate_limited"),
        ),
    )
    async def confirm_second_factor(
        self, data: JSONBody[CodeBody], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> RecoveryCodesView:
        """Send a code of the app. From then on, every sign-in needs one; sessions and API keys go on.

        Keep the recovery codes: each is good once in place of a code, also when the app is lost.
        """
        return RecoveryCodesView(
            recovery_codes=list(await use_cases.accounts.confirm_second_factor(principal, data.code))
        )

    @delete(
        status_code=204,
        operation_id="removeSecondFactor",
        summary="Remove the second factor",
        responses=documented_empty(
            204,
            "Sign-ins need the password alone.",
            signed_in=True,
            problems=(
                "invalid_request",
                "invalid_credentials",
                "second_factor_required",
                "not_found",
                "rate_limited",
                "overloaded",
            ),
        ),
    )
    async def remove_second_factor(
        self,
        request: JsonRequest,
        data: JSONBody[FactorRemovalBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> None:
        """Remove it with your password and a code of the app, or a recovery code. Administrators can remove it too."""
        removing = use_cases.accounts.remove_second_factor(principal, data.to_removal())
        await while_connected(request.receive, removing)
