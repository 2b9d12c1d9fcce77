"""Routes for API keys. They need an access token; an API key is not accepted."""

from __future__ import annotations

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ApiKeyId
from chatbill.entrypoints.http.accounts.bodies import ApiKeyBody
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.api_keys import ApiKeyView, IssuedKeyView
from chatbill.entrypoints.web.disconnects import while_connected
from chatbill.entrypoints.web.parameters import could_be_id


class ApiKeyController(Controller):
    """The API keys of the user."""

    path = "/auth/api-keys"
    tags = ("API keys",)

    @get(
        operation_id="listApiKeys",
        summary="List API keys",
        responses=documented(
            200,
            list[ApiKeyView],
            "The keys that were not revoked, the oldest first.",
            [examples.API_KEY],
            signed_in=True,
            problems=("forbidden",),
        ),
    )
    async def list_api_keys(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> list[ApiKeyView]:
        """List your keys, and the credits that each used this month (UTC). Their secrets are not stored."""
        return [ApiKeyView.of(state) for state in await use_cases.accounts.list_api_keys(principal)]

    @post(
        status_code=201,
        operation_id="createApiKey",
        summary="Create an API key",
        responses=documented(
            201,
            IssuedKeyView,
            "The new key. `key` is shown this once.",
            examples.ISSUED_KEY,
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
    async def create_api_key(
        self,
        request: JsonRequest,
        data: JSONBody[ApiKeyBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> IssuedKeyView:
        """Make a key for a program. It is sent like an access token, and spends the same wallet.

        `scopes` say what it may do, by default `chat`:

        - `chat`: list models, send and stop messages, use `/v1`, read the balance
        - `billing`: read packages and transactions
        - `read`: read conversations and the history
        - `write`: rename and delete conversations
        - `account`: read the account with its e-mail address

        No scope lets a key buy credits, change the account, list or make keys, or act as an administrator. A key is
        valid until it is revoked or expires, also after a change of the password, but not while the account is
        disabled.

        If you signed in more than ten minutes ago (`CHATBILL_FRESH_SIGN_IN_S`), send your `password` too.

        `monthly_cap` is the most credits that it may use in a calendar month (UTC), including held credits. You can
        have 20 keys, each with a name of its own.
        """
        creating = use_cases.accounts.create_api_key(principal, data.to_order())
        return IssuedKeyView.issued(await while_connected(request.receive, creating))

    @delete(
        "/{key_id:str}",
        status_code=204,
        operation_id="revokeApiKey",
        summary="Revoke an API key",
        responses=documented_empty(
            204,
            "The key is revoked, or was revoked before.",
            signed_in=True,
            problems=("not_found", "forbidden"),
        ),
    )
    async def revoke_api_key(
        self, key_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> None:
        """Revoke a key at once and for ever. Replies that it requested are finished and charged."""
        if not could_be_id(key_id):
            raise NotFound("api_key")
        await use_cases.accounts.revoke_api_key(principal, ApiKeyId(key_id))
