"""Applies what trusted reverse proxies say about a request, and the path below which the service is served."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from litestar.datastructures import MutableScopeHeaders

from chatbill.entrypoints.web.addresses import Address, ClientAddresses
from chatbill.entrypoints.web.refusals import refuse_connection
from chatbill.settings.root_path import checked_root_path

HSTS: Final = "max-age=31536000"
IGNORED: Final = "chatbill.ignored_headers"
"""The key of the scope under which are the names of forwarding headers that an untrusted peer has sent."""

_FORWARDING: Final = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-gradio-server",
)
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)
_SCHEMES: Final = frozenset({"http", "https"})


class BehindProxies:
    """ASGI middleware around a whole service.

    The client, the scheme, the host and the prefix come from the `X-Forwarded-*` headers of trusted proxies. The inner
    application sees the result as an ordinary request, without these headers. `root_path` is the prefix if no proxy
    names one; it may be in the path of a request or not. Answers over HTTPS tell browsers to stay with HTTPS. At most
    `per_address` requests of one client are answered at once where a proxy forwards them (0: no limit).
    """

    def __init__(self, app: Any, addresses: ClientAddresses, *, root_path: str = "", per_address: int = 0) -> None:
        self._app = app
        self._addresses = addresses
        self._root_path = root_path
        self._per_address = per_address
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on a request as the client has meant it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client, proxies = self._addresses.client_of(scope)
        scope = self._resolved(scope, client, proxies)
        send = _with_hsts(send) if scope["scheme"] == "https" else send
        if not proxies:
            await self._app(scope, receive, send)
            return
        # The connections of direct clients are bounded by the server.
        with self._place(self._addresses.of(scope)) as has_place:
            await (self._app if has_place else refuse_connection)(scope, receive, send)

    @contextmanager
    def _place(self, address: str) -> Iterator[bool]:
        """Count a request of this address; say whether it is within the bound."""
        self._running[address] += 1
        try:
            yield not self._per_address or self._running[address] <= self._per_address
        finally:
            self._running[address] -= 1
            if not self._running[address]:
                del self._running[address]  # or the counter would grow with every address

    def _resolved(self, scope: Any, client: Address | None, proxies: int) -> Any:
        said = {name: _value(scope, name, proxies) for name in _FORWARDING} if proxies else {}
        scheme = said.get(b"x-forwarded-proto", "").lower()
        host = said.get(b"x-forwarded-host", "")
        headers = [pair for pair in scope["headers"] if pair[0] not in _FORWARDING]
        if _HOST.fullmatch(host):
            headers = [*(pair for pair in headers if pair[0] != b"host"), (b"host", host.encode())]
        sent = () if proxies else tuple(name.decode() for name, _ in scope["headers"] if name in _FORWARDING)
        changed = {
            "headers": headers,
            "scheme": scheme if scheme in _SCHEMES else scope["scheme"],
            "client": (str(client), 0) if proxies else scope["client"],
            IGNORED: sent,
        }
        return scope | changed | self._paths(scope, _prefix(said.get(b"x-forwarded-prefix", "")))

    def _paths(self, scope: Any, forwarded: str) -> dict[str, Any]:
        """Return the paths as ASGI has them: the path begins with the root path."""
        root, path, raw = forwarded or self._root_path, scope["path"], scope.get("raw_path") or b""
        # A proxy that names its prefix has cut it off.
        if not forwarded and f"{path}/".startswith(f"{root}/"):
            whole = f"{path}/" if root and path == root else path
            return {"root_path": root, "path": whole}
        return {"root_path": root, "path": root + path, "raw_path": root.encode() + raw}


def path_below_root(scope: Any) -> str:
    """Return the path of a request without the prefix of the service."""
    root, path = scope.get("root_path", ""), str(scope["path"])
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


def _value(scope: Any, name: bytes, proxies: int) -> str:
    """Return what the outermost of the trusted proxies said. Each may have appended a value of its own."""
    values = b",".join(value for sent, value in scope["headers"] if sent == name).decode("latin-1").split(",")
    return values[-proxies:][0].strip()


def _prefix(text: str) -> str:
    """Return a forwarded prefix; "" if it is no path."""
    try:
        return checked_root_path(text) if text.startswith("/") else ""
    except ValueError:
        return ""


def _with_hsts(send: Any) -> Any:
    async def send_with_hsts(message: Any) -> None:
        if message["type"] == "http.response.start":
            MutableScopeHeaders.from_message(message).setdefault("Strict-Transport-Security", HSTS)
        await send(message)

    return send_with_hsts
