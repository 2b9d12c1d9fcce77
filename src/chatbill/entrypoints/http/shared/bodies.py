"""The base class of request bodies: unknown fields are ignored, and values are not converted."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
)
from pydantic import model_validator as validates

from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.entrypoints.web.parameters import MAX_LINE_CHARS
from chatbill.entrypoints.web.problems import MalformedRequest
from chatbill.entrypoints.web.wording import body_message

UNION_MEMBERS = frozenset({"str", "list[any]", "list[str]"})
"""Names that pydantic adds to the location of an error in a field of several types."""

# Databases do not store the NUL character.
Line = Annotated[str, StringConstraints(max_length=MAX_LINE_CHARS, pattern=r"^[^\x00]*$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class Body(BaseModel):
    """A JSON object. Fields that are not known are ignored, so that newer clients can talk to older servers."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    @validates(mode="wrap")
    @classmethod
    def _convert_errors(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise _invalid_request(error) from None


def _invalid_request(error: ValidationError) -> InvalidRequest:
    """Convert every error of a body."""
    messages: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in detail["loc"] if part not in UNION_MEMBERS) or "body"
        messages.setdefault(field, []).append(body_message(detail["type"], detail.get("ctx", {})))
    faults = [
        FieldError(field, Description.of("text", text=" or ".join(dict.fromkeys(found))))
        for field, found in messages.items()
    ]
    if faults[0].field == "body":
        return MalformedRequest(*faults)
    return InvalidRequest(*faults)
