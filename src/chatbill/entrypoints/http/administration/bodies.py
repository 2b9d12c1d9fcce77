"""Request bodies of administration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.application.administration.create_user import NewUser
from chatbill.application.administration.update_user import UserChange
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.entrypoints.http.shared.bodies import Body, Line
from chatbill.entrypoints.http.shared.parameters import checked_moment

Role = Literal["user", "viewer", "support", "finance", "admin"]
State = Literal["active", "suspended"]
IN_TRAIL = "1 to 500 characters; it stays in the audit trail."


class NewUserBody(Body):
    """A new account. Without a password, the answer has a link with which the person sets one."""

    username: Line = Field(description="3 to 32 letters, digits, dots, dashes and underscores.", examples=["ada"])
    email: Line = Field(description="Unique; it can be used to sign in.", examples=["ada@example.org"])
    role: Role = Field(default="user", description="Any but `user` needs the permission `manage_roles`.")
    password: Line | None = Field(default=None, description="8 to 256 characters.")

    def to_order(self) -> NewUser:
        """Return the command of the use case."""
        return NewUser(username=self.username, email=self.email, role=UserRole(self.role), password=self.password)


class UserBody(Body):
    """The new values of a user, and the reason for them."""

    role: Role | None = Field(default=None, description="It counts from the next request on.")
    state: State | None = Field(
        default=None, description="A suspended account is signed out, its API keys are refused, its replies stop."
    )
    reason: str = Field(description=IN_TRAIL, examples=["Left the company"])

    def to_change(self) -> UserChange:
        """Return the change of the use case."""
        return UserChange(
            role=None if self.role is None else UserRole(self.role),
            state=None if self.state is None else AccountState(self.state),
        )

    def to_order(self) -> AdminAction:
        """Return the reason of the use case."""
        return AdminAction(reason=self.reason)


class NewCodeBody(Body):
    """A new code that redeems credits."""

    credits: int = Field(description="Credits for each person.", examples=[50])
    uses: int = Field(default=1, description="How many people can redeem it, each once; 10,000 at most.")
    expires_at: str | None = Field(default=None, description="RFC 3339; never if left out.", examples=[None])

    def to_order(self) -> NewCode:
        """Return the command of the use case."""
        expires_at = checked_moment("expires_at", self.expires_at)
        return NewCode(credits=self.credits, uses=self.uses, expires_at=expires_at)


class ReasonBody(Body):
    """The reason of an act."""

    reason: str = Field(description=IN_TRAIL, examples=["The laptop was stolen"])

    def to_order(self) -> AdminAction:
        """Return the reason of the use case."""
        return AdminAction(reason=self.reason)


class CreditsBody(Body):
    """An adjustment of a wallet, and its reason."""

    amount: int = Field(description="Credits to add, or to take if negative.", examples=[25])
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["Sorry for the outage"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """Return the command of the use case."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)


class RefundBody(Body):
    """A refund, and its reason."""

    amount: int | None = Field(default=None, description="Credits to give back; the rest of the charge if left out.")
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["The reply was useless"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """Return the command of the use case."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)
