"""What clients send: every field with its type and bounds, unknown fields ignored, nothing converted."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
)
from pydantic import model_validator as validates

from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.domain.shared.ids import ConversationId
from chatbill.entrypoints.http.parameters import checked_moment
from chatbill.entrypoints.web.problems import MalformedRequest
from chatbill.entrypoints.web.wording import body_fault

MAX_LINE_CHARS = 1_024
"""Bounds what is looked up or hashed; the rules for names and passwords are the domain's."""

KINDS_OF_VALUE = frozenset({"str", "list[any]", "list[str]"})
"""What stands in the place of a fault where a field can be of several kinds, and was of none."""

EXAMPLE_NAME = "ada"
EXAMPLE_PASSWORD = "difference engine 2"  # noqa: S105 - nobody's

# No database keeps the NUL character, and no name or id needs it.
Line = Annotated[str, StringConstraints(max_length=MAX_LINE_CHARS, pattern=r"^[^\x00]*$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class Body(BaseModel):
    """A JSON object. Fields that are not known are ignored, so that newer clients can talk to older servers."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    @validates(mode="wrap")
    @classmethod
    def _refuse_in_words(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise _refusal(error) from None


def _refusal(error: ValidationError) -> InvalidRequest:
    """Every fault of a body, in words."""
    words: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in fault["loc"] if part not in KINDS_OF_VALUE) or "body"
        words.setdefault(field, []).append(body_fault(fault["type"], fault.get("ctx", {})))
    faults = [FieldError(field, " or ".join(dict.fromkeys(found))) for field, found in words.items()]
    if faults[0].field == "body":
        return MalformedRequest(*faults)
    return InvalidRequest(*faults)


class RegisterBody(Body):
    """A new account."""

    username: Line = Field(
        description="3 to 32 letters, digits, dots, dashes and underscores.", examples=[EXAMPLE_NAME]
    )
    email: Line = Field(description="Yours alone; it can be used to sign in.", examples=["ada@example.org"])
    password: Line = Field(description="8 to 256 characters.", examples=[EXAMPLE_PASSWORD])

    def to_registration(self, address: str) -> Registration:
        """As the use case takes it."""
        return Registration(username=self.username, email=self.email, password=self.password, address=address)


class LoginBody(Body):
    """Who signs in."""

    username: Line = Field(description="The username or the e-mail address.", examples=[EXAMPLE_NAME])
    password: Line = Field(description="The password.", examples=[EXAMPLE_PASSWORD])

    def to_credentials(self, address: str) -> Credentials:
        """As the use case takes it."""
        return Credentials(login=self.username, password=self.password, address=address)


class RefreshBody(Body):
    """A refresh token, which is spent by this."""

    refresh_token: Line = Field(
        description="The newest of this session.", examples=["3q2-7wAAAAD_0123456789abcdefghijklmnopqrst"]
    )


class PasswordBody(Body):
    """The password that is, and the one that shall be."""

    current_password: Line = Field(description="The password that is.", examples=[EXAMPLE_PASSWORD])
    new_password: Line = Field(description="8 to 256 characters.", examples=["analytical engine 1"])

    def to_change(self) -> PasswordChange:
        """As the use case takes it."""
        return PasswordChange(current=self.current_password, new=self.new_password)


class ApiKeyBody(Body):
    """A key to make."""

    name: str = Field(description="1 to 100 characters, unlike that of your other keys.", examples=["nightly job"])
    monthly_cap: int | None = Field(
        default=None, description="The most credits that it may use in a calendar month of UTC.", examples=[500]
    )
    expires_at: str | None = Field(
        default=None,
        description="When it ends by itself: RFC 3339, as in `2027-01-31T12:00:00Z`.",
        examples=["2027-01-31T12:00:00Z"],
    )

    def to_order(self) -> NewApiKey:
        """As the use case takes it."""
        return NewApiKey(
            name=self.name, monthly_cap=self.monthly_cap, expires_at=checked_moment("expires_at", self.expires_at)
        )


class MessageBody(Body):
    """A message to a model."""

    model: Line = Field(description="The id of a model, from `GET /chat/models`.", examples=["demo-mini"])
    message: str = Field(
        description="What you say.", examples=["What is the capital of France? Answer in one sentence."]
    )
    conversation_id: Id | None = Field(
        default=None, description="Goes on with this conversation; else a new one begins."
    )
    max_tokens: int | None = Field(
        default=None, description="Longest reply, in tokens, at least 1; the model has its own bound."
    )
    temperature: float | None = Field(
        default=None, allow_inf_nan=False, description="0 (always the likeliest word) to 2; left out: the model's own."
    )

    def to_message(self, idempotency_key: str | None) -> Message:
        """As the use case takes it."""
        return Message(
            model=self.model,
            text=self.message,
            conversation_id=ConversationId(self.conversation_id) if self.conversation_id is not None else None,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            idempotency_key=idempotency_key,
        )


class TitleBody(Body):
    """Another title."""

    title: Line = Field(description="1 to 200 characters.", examples=["Capitals"])


class OrderBody(Body):
    """What to buy: either a package or an amount of credits."""

    package: Line | None = Field(
        default=None, description="The id of a package, from `GET /billing/packages`.", examples=["small"]
    )
    amount: int | None = Field(default=None, description="Credits, without a package's bonus.")

    def to_order(self, idempotency_key: str | None) -> Order:
        """As the use case takes it."""
        return Order(package=self.package, amount=self.amount, idempotency_key=idempotency_key)


class CreditsBody(Body):
    """Credits to move by hand, and why."""

    amount: int = Field(description="Credits to add; to take, where it is negative.", examples=[25])
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["Sorry for the outage"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """As the use case takes it."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)


class RefundBody(Body):
    """A charge to give back, and why."""

    amount: int | None = Field(default=None, description="Credits to give back; left out: all that is left.")
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["The reply was useless"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """As the use case takes it."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)
