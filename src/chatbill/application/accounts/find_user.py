"""Finds users by what they sign in with, and refuses names that belong to others."""

from __future__ import annotations

from chatbill.application.ports.repositories.users import UserReader
from chatbill.domain.accounts.look_alikes import look_alikes
from chatbill.domain.accounts.users import User, login_keys, name_key
from chatbill.domain.shared.errors import EmailTaken, UsernameTaken


def find_user(users: UserReader, login: str) -> User | None:
    """Return the user with this username or e-mail address. The host may be written in Unicode or in Punycode."""
    found = (users.by_login(key) for key in login_keys(login))
    return next((user for user in found if user is not None), None)


def refuse_taken_username(users: UserReader, username: str) -> None:
    """Raise `UsernameTaken` if another user has this name or one that looks the same."""
    key = name_key(username)
    if any(users.by_login(spelling) for spelling in (key, *sorted(look_alikes(key)))):
        raise UsernameTaken


def refuse_taken_email(users: UserReader, email: str) -> None:
    """Raise `EmailTaken` if another user has this address in any spelling."""
    if find_user(users, email):
        raise EmailTaken
