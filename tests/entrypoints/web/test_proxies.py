"""The headers of proxies: what the application behind sees of them."""

from __future__ import annotations

from typing import Any

import pytest

from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.proxies import IGNORED, BehindProxies, path_below_root

PEER = "10.0.0.1"
SAID = {
    "forwarded": "for=192.0.2.1;host=evil.example",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-host": "chat.example",
    "x-forwarded-port": "8443",
    "x-forwarded-prefix": "/pre",
    "x-forwarded-proto": "https",
    "x-gradio-server": "https://evil.example/ui",
}


async def seen(trusted: tuple[str, ...], said: dict[str, str], *, root: str = "", **more: Any) -> Any:
    """Return the scope that the application gets; the service is set up with this root path."""
    scopes: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scopes.append(scope)

    headers = [(b"host", b"inner"), *((name.encode(), value.encode()) for name, value in said.items())]
    scope = {"type": "http", "scheme": "http", "path": "/", "raw_path": b"/", "client": (PEER, 9), "headers": headers}
    await BehindProxies(app, ClientAddresses.behind(trusted), root_path=root)(scope | more, None, None)
    return scopes[0]


@pytest.mark.parametrize("name", sorted(SAID))
@pytest.mark.parametrize("trusted", [(), (PEER,)])
async def test_no_header_of_proxies_reaches_the_application_and_those_of_others_are_named(
    trusted: tuple[str, ...], name: str
) -> None:
    scope = await seen(trusted, {name: SAID[name]})
    assert [header for header, _ in scope["headers"]] == [b"host"]
    assert scope[IGNORED] == (() if trusted else (name,))


async def test_nothing_that_another_peer_says_counts() -> None:
    scope = await seen((), SAID)
    assert (scope["scheme"], scope["client"], scope["root_path"], scope["path"]) == ("http", (PEER, 9), "", "/")
    assert scope["headers"] == [(b"host", b"inner")]


async def test_what_a_trusted_proxy_says_counts() -> None:
    scope = await seen((PEER,), SAID, path="/ui/", raw_path=b"/ui/")
    assert (scope["scheme"], scope["client"]) == ("https", ("192.0.2.1", 0))
    assert scope["headers"] == [(b"host", b"chat.example")]
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/pre", "/pre/ui/", b"/pre/ui/")


@pytest.mark.parametrize(
    ("path", "whole"), [("/pre/ui/", "/pre/ui/"), ("/pre", "/pre/"), ("/prefix/", "/pre/prefix/"), ("/ui/", "/pre/ui/")]
)
async def test_a_root_path_that_no_proxy_has_cut_off_is_not_added_again(path: str, whole: str) -> None:
    scope = await seen((), {}, root="/pre", path=path, raw_path=path.encode())
    assert (scope["root_path"], scope["path"]) == ("/pre", whole)


async def test_a_proxy_that_names_its_prefix_has_cut_it_off() -> None:
    scope = await seen((PEER,), {"x-forwarded-prefix": "/pre"}, path="/pre/ui/", raw_path=b"/pre/ui/")
    assert (scope["root_path"], scope["path"]) == ("/pre", "/pre/pre/ui/")


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "https://evil.example", "wss"])
async def test_a_forwarded_scheme_that_is_none_of_the_web_is_ignored(scheme: str) -> None:
    assert (await seen((PEER,), {"x-forwarded-proto": scheme}))["scheme"] == "http"


@pytest.mark.parametrize(
    ("path", "below"),
    [("/pre/ui/", "/ui/"), ("/pre", "/pre"), ("/prefix/ui/", "/prefix/ui/"), ("/ui/", "/ui/"), ("/pre/pre/", "/pre/")],
)
def test_the_root_path_is_cut_off_as_a_whole(path: str, below: str) -> None:
    assert path_below_root({"root_path": "/pre", "path": path}) == below
