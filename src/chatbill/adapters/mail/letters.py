"""The texts of letters, in English and in Russian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chatbill.application.ports.mail import Letter, LetterKind

RESET_PATH: Final = "/web/reset"
VERIFY_PATH: Final = "/web/verify"
PATHS: Final = {LetterKind.PASSWORD_LINK: RESET_PATH, LetterKind.VERIFICATION: VERIFY_PATH}
DEFAULT_LOCALE: Final = "en"


@dataclass(frozen=True, slots=True)
class Text:
    """A subject and a body, with places for `service`, `link` and `until`."""

    subject: str
    body: str


TEXTS: Final = {
    "en": {
        LetterKind.PASSWORD_LINK: Text(
            "A new password for {service}",
            "Open this link to set a new password for {service}:\n\n{link}\n\n"
            "It works once, until {until} UTC. If you did not ask for it, ignore this letter: "
            "your password stays as it is.\n",
        ),
        LetterKind.VERIFICATION: Text(
            "Confirm your address for {service}",
            "Open this link to confirm that this address is yours:\n\n{link}\n\n"
            "It works once, until {until} UTC. If you have no account at {service}, ignore this letter.\n",
        ),
    },
    "ru": {
        LetterKind.PASSWORD_LINK: Text(
            "Новый пароль для {service}",
            "Откройте эту ссылку, чтобы задать новый пароль для {service}:\n\n{link}\n\n"
            "Она действует один раз, до {until} UTC. Если вы её не запрашивали, ничего не делайте: "
            "пароль останется прежним.\n",
        ),
        LetterKind.VERIFICATION: Text(
            "Подтвердите адрес для {service}",
            "Откройте эту ссылку, чтобы подтвердить, что это ваш адрес:\n\n{link}\n\n"
            "Она действует один раз, до {until} UTC. Если вы не регистрировались в {service}, ничего не делайте.\n",
        ),
    },
}


def written(letter: Letter, *, service: str, base: str) -> Text:
    """Return the text of a letter in the language of the person, or in English.

    Browsers keep what follows `#` in the link to themselves, so no server or proxy logs the token.
    """
    language = (letter.locale or DEFAULT_LOCALE).replace("_", "-").partition("-")[0].lower()
    text = TEXTS.get(language, TEXTS[DEFAULT_LOCALE])[letter.kind]
    values = {
        "service": service,
        "link": f"{base.rstrip('/')}{PATHS[letter.kind]}#{letter.token}",
        "until": f"{letter.expires_at:%Y-%m-%d %H:%M}",
    }
    return Text(text.subject.format(**values), text.body.format(**values))
