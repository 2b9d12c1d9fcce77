"""The request body of a chat completion, and its conversion to a message with its own history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from chatbill.application.chat.messages import MAX_STOPS, Message
from chatbill.domain.chat.conversations import MAX_TURNS, Role, Turn, checked_text
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.http.shared.bodies import Body, Line

ROLES: Final = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}

NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "bad_words": ([],),
    "best_of": (1,),
    "echo": (False,),
    "grammar": ("",),
    "ignore_eos": (False,),
    "length_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "prediction": (),
    "prompt_logprobs": (False, 0),
    "repetition_penalty": (1,),
    "stop_token_ids": ([],),
    "structured_outputs": (),
    "suffix": ("",),
    "top_k": (0, -1),
    "typical_p": (1,),
    "use_beam_search": (False,),
}
"""Unsupported fields of OpenAI's older API and of other servers, and the values that have no effect."""

GUIDED: Final = "guided_"
"""The prefix of fields that ask for a reply in a certain format."""


class Part(BaseModel):
    """A part of a body. The body reports its errors."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class StreamOptions(Part):
    """Options of a stream."""

    include_usage: bool | None = Field(default=None, description="End with a chunk that has the usage.")


class ChatMessage(Part):
    """One message of the conversation."""

    role: str = Field(description="`system`, `developer`, `user` or `assistant`.", examples=["user"])
    content: str | list[Any] | None = Field(
        default=None,
        description='Text, or parts `{"type": "text", "text": "…"}`, which are lines of one text.',
        examples=["What is the capital of France?"],
    )
    tool_calls: list[Any] | None = Field(default=None, description="Not supported.")

    def to_turn(self, field: str) -> Turn:
        """Return the turn of the conversation. `field` names this message in errors. Raises `InvalidRequest`."""
        role = ROLES.get(self.role)
        if role is None:
            raise InvalidRequest.of(f"{field}.role", "unsupported_role", known=", ".join(ROLES))
        if self.tool_calls:
            raise InvalidRequest.of(f"{field}.tool_calls", "tools_not_supported")
        if self.content is None:
            raise InvalidRequest.of(f"{field}.content", "content_required")
        if isinstance(self.content, str):
            return Turn(role, self.content)
        parts = [_text_of(part, f"{field}.content.{index}") for index, part in enumerate(self.content)]
        return Turn(role, "\n".join(parts))


class ChatCompletionBody(Body):
    """A chat completion. Fields without effect are ignored; unsupported ones are rejected."""

    model_config = ConfigDict(extra="allow")

    model: Line = Field(description="The id of a model, from `GET /v1/models`.", examples=["demo-mini"])
    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=MAX_TURNS,
        description="The conversation so far, the user's message last. Stored conversations are not read.",
    )
    stream: bool | None = Field(default=None, description="Send the reply as it is written.")
    stream_options: StreamOptions | None = Field(default=None)
    max_tokens: int | None = Field(
        default=None, description="Longest reply, in tokens, at most the model's window; the model has its own limit."
    )
    max_completion_tokens: int | None = Field(default=None, description="The newer name of `max_tokens`.")
    temperature: float | None = Field(default=None, allow_inf_nan=False, description="0 to 2.")
    top_p: float | None = Field(default=None, allow_inf_nan=False, description="Over 0, to 1.")
    stop: str | list[str] | None = Field(default=None, description="Up to 4 strings before which the reply ends.")
    seed: int | None = Field(
        default=None, description="Makes the reply repeatable, if no other reply is written at the same time."
    )
    n: int | None = Field(default=None, description="Only 1.")
    # The following fields are rejected if they are set.
    tools: list[Any] | None = Field(default=None, description="Not supported.")
    tool_choice: str | dict[str, Any] | None = Field(default=None, description="Not supported; `none` has no effect.")
    functions: list[Any] | None = Field(default=None, description="Not supported.")
    response_format: dict[str, Any] | None = Field(default=None, description="Only text.")
    logprobs: bool | None = Field(default=None, description="Not supported.")
    top_logprobs: int | None = Field(default=None, description="Not supported.")
    logit_bias: dict[str, Any] | None = Field(default=None, description="Not supported.")
    presence_penalty: float | None = Field(default=None, description="Only 0.")
    frequency_penalty: float | None = Field(default=None, description="Only 0.")
    modalities: list[Any] | None = Field(default=None, description="Only text.")
    audio: dict[str, Any] | None = Field(default=None, description="Not supported.")
    web_search_options: dict[str, Any] | None = Field(default=None, description="Not supported.")

    def to_message(self, idempotency_key: str | None) -> Message:
        """Return the command of the use case. Raises `InvalidRequest`."""
        self._reject_unsupported_fields()
        turns = [message.to_turn(f"messages.{place}") for place, message in enumerate(self.messages)]
        for place, turn in enumerate(turns):
            checked_text(f"messages.{place}.content", turn.text, max_chars=len(turn.text))
        # System messages apply from the beginning, at any position.
        last = max((place for place, turn in enumerate(turns) if turn.role is not Role.SYSTEM), default=-1)
        if last < 0 or turns[last].role is not Role.USER:
            raise InvalidRequest.of("messages", "not_ended_by_user")
        if not turns[last].text.strip():
            raise InvalidRequest.of(f"messages.{last}.content", "empty")
        return Message(
            model=self.model,
            text=turns[last].text,
            history=(*turns[:last], *turns[last + 1 :]),
            max_tokens=self._max_tokens(),
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=self._stop(),
            trim=False,
            idempotency_key=idempotency_key,
        )

    @property
    def wants_usage(self) -> bool:
        """Return True if a stream should end with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _max_tokens(self) -> int | None:
        for name, most in (("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)):
            if most is not None and most < 1:
                raise InvalidRequest.of(name, "too_small", min=1)
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def _stop(self) -> tuple[str, ...]:
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        if len(stops) > MAX_STOPS:
            raise InvalidRequest.of("stop", "too_many_strings", max=MAX_STOPS)
        return stops

    def _reject_unsupported_fields(self) -> None:
        if not self.tools and self.tool_choice not in (None, "none"):
            raise InvalidRequest.of("tool_choice", "tool_choice_without_tools")
        wants = {
            "n": self.n not in {None, 1},
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "response_format": (self.response_format or {}).get("type", "text") != "text",
            "logprobs": bool(self.logprobs),
            "top_logprobs": bool(self.top_logprobs),
            "logit_bias": bool(self.logit_bias),
            "presence_penalty": bool(self.presence_penalty),
            "frequency_penalty": bool(self.frequency_penalty),
            "modalities": (self.modalities or ["text"]) != ["text"],
            "audio": self.audio is not None,
            "web_search_options": self.web_search_options is not None,
        }
        for name, value in (self.model_extra or {}).items():
            neutral = () if name.startswith(GUIDED) else NEUTRAL.get(name, (value,))
            wants[name] = value is not None and value not in neutral
        for name, wanted in wants.items():
            if wanted:
                raise InvalidRequest.of(name, "not_supported")


def _text_of(part: Any, field: str) -> str:
    if not isinstance(part, dict):
        raise InvalidRequest.of(field, "not_a_text_part")
    if part.get("type") != "text":
        raise InvalidRequest.of(f"{field}.type", "only_text_supported")
    if not isinstance(text := part.get("text"), str):
        raise InvalidRequest.of(f"{field}.text", "not_a_string")
    return text
