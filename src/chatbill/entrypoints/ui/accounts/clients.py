"""Names of browsers, for people who look at their sessions."""

from __future__ import annotations

from chatbill.entrypoints.web.language import gettext as _

# Most browsers name others too, so the first one that is found counts.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "YaBrowser/": "Yandex Browser",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def name_of_client(sent: str | None) -> str:
    """Return the browser and the system of a header User-Agent; the header as it is for other programs."""
    if not sent:
        return _("An unknown program")
    browser = next((name for mark, name in BROWSERS.items() if mark in sent), None)
    if not sent.startswith("Mozilla/") or browser is None:
        return sent
    system = next((name for mark, name in SYSTEMS.items() if mark in sent), None)
    return _("{browser} on {system}").format(browser=browser, system=system) if system else browser
