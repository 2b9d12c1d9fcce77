"""API keys, in a dialog of the account. The secret of a new one is in one answer, and kept nowhere."""

from __future__ import annotations

from typing import Any

from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ApiKeyId
from chatbill.entrypoints.ui.shared.forms import plain_credits, text_fields, unless_left
from chatbill.entrypoints.ui.shared.visits import Site, Visit, created, done
from chatbill.entrypoints.web.api_keys import ApiKeyView, IssuedKeyView
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.parameters import could_be_id

PATH = "/web/api-keys"


def key_routes(site: Site) -> None:
    """Add the list of keys and its actions."""
    accounts = site.use_cases.accounts

    async def rows(visit: Visit) -> dict[str, Any]:
        offers = site.use_cases.chat.list_models()
        example = next((offer for offer in offers if offer.available), offers[0])
        keys = [ApiKeyView.of(state) for state in await accounts.list_api_keys(visit.principal)]
        return {"keys": keys, "model": example.model.id}

    async def show(visit: Visit) -> Response:
        return visit.html("account/keys.html", **await rows(visit))

    async def make(visit: Visit) -> Response:
        name, cap, scopes, password = await text_fields(
            visit.request, "name", "monthly_cap", optional=("scopes", "password")
        )
        order = NewApiKey(
            name=name,
            scopes=scopes.split(),
            password=password,
            monthly_cap=plain_credits("monthly_cap", cap),
        )
        issued = await unless_left(visit.request, accounts.create_api_key(visit.principal, order))
        return created(jsonable_encoder(IssuedKeyView.issued(issued)))

    async def revoke(visit: Visit) -> Response:
        key_id = visit.path("key_id")
        if not could_be_id(key_id):
            raise NotFound("api_key")
        await accounts.revoke_api_key(visit.principal, ApiKeyId(key_id))
        left = visit.text("account/keys.html", **await rows(visit))
        return done(say=_("The key is revoked."), put={"cb-keys-list": left})

    site.get(PATH, show)
    site.post(PATH, make)
    site.delete(PATH + "/{key_id}", revoke)
