from __future__ import annotations

import pytest

from chatbill.entrypoints.ui.accounts.clients import name_of_client

MOZILLA = "Mozilla/5.0"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"{MOZILLA} (Windows NT 10.0) (KHTML) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"{MOZILLA} (Linux; Android 15) AppleWebKit/537.36 (KHTML) Chrome/140.0 Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5", "curl/8.5"),
        ("my Chrome/1 on Linux", "my Chrome/1 on Linux"),
        ("", "An unknown program"),
        (None, "An unknown program"),
    ],
)
def test_browsers_are_named_as_people_know_them(sent: str | None, name: str) -> None:
    assert name_of_client(sent) == name
