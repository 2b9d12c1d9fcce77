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

from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.entrypoints.web.problems import MalformedRequest
from chatbill.entrypoints.web.wording import body_fault

MAX_LINE_CHARS = 1_024
"""Bounds what is looked up or hashed; the rules for names and passwords are the domain's."""

KINDS_OF_VALUE = frozenset({"str", "list[any]", "list[str]"})
"""What stands in the place of a fault where a field can be of several kinds, and was of none."""

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
