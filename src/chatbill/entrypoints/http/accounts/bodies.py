"""Request bodies for accounts, sign-ins and API keys."""

from __future__ import annotations

from pydantic import Field

from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.remove_second_factor import Removal
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.accounts.update_account import KEEP, AccountChange
from chatbill.domain.accounts.scopes import DEFAULT_SCOPES, Scope
from chatbill.entrypoints.http.shared.bodies import Body, Line
from chatbill.entrypoints.http.shared.parameters import checked_moment

EXAMPLE_NAME = "ada"
EXAMPLE_CODE = "492039"
EXAMPLE_PASSWORD = "difference engine 2"  # noqa: S105 - an example


class RegisterBody(Body):
    """A new account."""

    username: Line = Field(
        description="3 to 32 letters, digits, dots, dashes and underscores.", examples=[EXAMPLE_NAME]
    )
    email: Line = Field(description="Unique; it can be used to sign in.", examples=["ada@example.org"])
    password: Line = Field(description="8 to 256 characters.", examples=[EXAMPLE_PASSWORD])

    def to_registration(self, address: str) -> Registration:
        """Return the command of the use case."""
        return Registration(username=self.username, email=self.email, password=self.password, address=address)


class SpendingLimitBody(Body):
    """Limits of one's own, in credits; null removes one."""

    day: int | None = Field(default=None, description="The most credits in a day of your time zone.", examples=[50])
    month: int | None = Field(default=None, description="The most credits in a month of your time zone.")


class AccountBody(Body):
    """The new values of an account. What is left out stays as it is."""

    username: Line | None = Field(
        default=None, description="3 to 32 letters, digits, dots, dashes and underscores.", examples=["ada.l"]
    )
    email: Line | None = Field(default=None, description="Unique; it can be used to sign in.")
    password: Line | None = Field(
        default=None,
        description="Your password. Another `email` needs it if you signed in more than ten minutes ago.",
    )

    locale: Line | None = Field(default=None, description="Your language (BCP 47); null for that of the client.")
    time_zone: Line | None = Field(default=None, description="A name of the IANA database.", examples=["Europe/Paris"])
    spending_limit: SpendingLimitBody | None = Field(default=None, description="Null removes both limits.")
    low_balance: int | None = Field(default=None, description="The balance below which you want a notice.")

    def to_change(self) -> AccountChange:
        """Return the command of the use case."""
        given = self.model_fields_set
        limits = self.spending_limit or SpendingLimitBody(day=None, month=None)
        has_limits = "spending_limit" in given
        return AccountChange(
            username=self.username,
            email=self.email,
            password=self.password,
            time_zone=self.time_zone,
            locale=self.locale if "locale" in given else KEEP,
            limit_day=limits.day if has_limits and "day" in limits.model_fields_set else KEEP,
            limit_month=limits.month if has_limits and "month" in limits.model_fields_set else KEEP,
            low_balance=self.low_balance if "low_balance" in given else KEEP,
        )


class EraseBody(Body):
    """The password of the account that is erased."""

    password: Line = Field(description="Your password.", examples=[EXAMPLE_PASSWORD])


class LoginBody(Body):
    """Name and password."""

    username: Line = Field(description="The username or the e-mail address.", examples=[EXAMPLE_NAME])
    password: Line = Field(description="The password.", examples=[EXAMPLE_PASSWORD])
    code: Line | None = Field(
        default=None,
        description="A code of your app, or a recovery code. It is needed if you have set up a second factor.",
        examples=[EXAMPLE_CODE],
    )

    def to_credentials(self, address: str, client: str) -> Credentials:
        """Return the command of the use case."""
        return Credentials(login=self.username, password=self.password, code=self.code, address=address, client=client)


class FactorBody(Body):
    """The password, where it is needed again."""

    password: Line | None = Field(
        default=None, description="Your password. It is needed if you signed in more than ten minutes ago."
    )


class CodeBody(Body):
    """A code of the app."""

    code: Line = Field(description="The six digits that the app shows.", examples=[EXAMPLE_CODE])


class FactorRemovalBody(Body):
    """The password and a code."""

    password: Line = Field(description="Your password.", examples=[EXAMPLE_PASSWORD])
    code: Line | None = Field(
        default=None,
        description="A code of the app, or a recovery code. A second factor that was not confirmed needs none.",
        examples=[EXAMPLE_CODE],
    )

    def to_removal(self) -> Removal:
        """Return the command of the use case."""
        return Removal(password=self.password, code=self.code)


class RefreshBody(Body):
    """A refresh token. It can be used once."""

    refresh_token: Line = Field(
        description="The newest of this session.", examples=["3q2-7wAAAAD_0123456789abcdefghijklmnopqrst"]
    )


class PasswordBody(Body):
    """The current and the new password."""

    current_password: Line = Field(description="The current password.", examples=[EXAMPLE_PASSWORD])
    new_password: Line = Field(description="8 to 256 characters.", examples=["analytical engine 1"])
    revoke_api_keys: bool = Field(default=False, description="Whether to revoke all API keys of the account too.")

    def to_change(self) -> PasswordChange:
        """Return the command of the use case."""
        return PasswordChange(
            current=self.current_password, new=self.new_password, revoke_api_keys=self.revoke_api_keys
        )


class ForgottenPasswordBody(Body):
    """The e-mail address of an account."""

    email: Line = Field(description="The e-mail address of the account.", examples=["ada@example.org"])


class VerificationBody(Body):
    """The token of a letter."""

    token: Line = Field(
        description="The part of the link after `#`.",
        examples=["019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b.3q2-7wAAAAD_0123456789abcdefghijklmnopqrstu"],
    )


class PasswordResetBody(Body):
    """The token of a link for a new password, and that password."""

    token: Line = Field(
        description="The part of the link after `#`.",
        examples=["019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b.3q2-7wAAAAD_0123456789abcdefghijklmnopqrstu"],
    )
    new_password: Line = Field(description="8 to 256 characters.", examples=["analytical engine 1"])
    revoke_api_keys: bool = Field(default=False, description="Whether to revoke all API keys of the account too.")

    def to_reset(self, address: str) -> PasswordReset:
        """Return the command of the use case."""
        return PasswordReset(
            token=self.token, new=self.new_password, revoke_api_keys=self.revoke_api_keys, address=address
        )


class ApiKeyBody(Body):
    """A new API key."""

    name: str = Field(
        description="1 to 100 characters, different from the names of your other keys.", examples=["nightly job"]
    )
    scopes: list[str] = Field(
        default_factory=lambda: [scope.value for scope in DEFAULT_SCOPES],
        description=f"What the key may do, some of: {', '.join(f'`{scope}`' for scope in Scope)}.",
        examples=[["chat", "billing"]],
        max_length=len(Scope),
    )
    password: Line | None = Field(
        default=None, description="Your password. It is needed if you signed in more than ten minutes ago."
    )
    monthly_cap: int | None = Field(
        default=None, description="The most credits that it may use in a calendar month (UTC).", examples=[500]
    )
    expires_at: str | None = Field(
        default=None,
        description="When it expires: RFC 3339, as in `2027-01-31T12:00:00Z`.",
        examples=["2027-01-31T12:00:00Z"],
    )

    def to_order(self) -> NewApiKey:
        """Return the command of the use case."""
        return NewApiKey(
            name=self.name,
            scopes=self.scopes,
            password=self.password,
            monthly_cap=self.monthly_cap,
            expires_at=checked_moment("expires_at", self.expires_at),
        )
