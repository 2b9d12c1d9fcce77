"""Reads the fields of forms, which the script of the page sends as JSON."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request

from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.disconnects import while_connected
from chatbill.entrypoints.web.parameters import MAX_LINE_CHARS
from chatbill.entrypoints.web.problems import ClientLeft

T = TypeVar("T")
MAX_CREDIT_DIGITS = 18


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work, which is cancelled when the browser disconnects. Raises `ClientLeft` then."""
    return await while_connected(cast("Any", request.receive), work)


async def text_fields(request: Request, *fields: str, optional: tuple[str, ...] = ()) -> list[str]:
    """Return these text fields of a JSON body, each within the bound of the API. Raises `InvalidRequest`.

    Those that are `optional` come after them, and are empty where they are missing.
    """
    try:
        body = json.loads(await request.body())
    except ClientDisconnect:
        raise ClientLeft from None
    except (ValueError, RecursionError):
        raise InvalidRequest.of("body", "not_json_body") from None
    if isinstance(body, dict):
        body, fields = dict.fromkeys(optional, "") | body, (*fields, *optional)
    if not isinstance(body, dict) or not all(isinstance(body.get(field), str) for field in fields):
        raise InvalidRequest.of("body", "not_an_object", fields=", ".join(fields))
    # Names are normalized before the domain checks them, which takes the square of their length.
    if too_long := [field for field in fields if len(body[field]) > MAX_LINE_CHARS]:
        raise InvalidRequest.of(too_long[0], "too_long", max=MAX_LINE_CHARS)
    return [body[field] for field in fields]


def address_of_client(request: Request) -> str:
    """Return the address by which limits count the client, the same as in the API, so that both share one limit."""
    return ClientAddresses().of(cast("Any", request.scope))


def plain_credits(field: str, text: str) -> int | None:
    """Return the credits that were typed into a field; None for empty text. Raises `InvalidRequest`."""
    return whole_number(field, text) if text.strip() else None


def whole_number(field: str, text: str) -> int:
    """Return the number that was typed into a field, without a sign. Raises `InvalidRequest`."""
    digits = text.strip()
    # Only plain digits are accepted, because 10.000 and 10,000 mean different amounts in different countries.
    if not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_CREDIT_DIGITS:
        raise InvalidRequest.of(field, "not_plain_digits")
    return int(digits)
