"""Convert conversations to token ids by the model's own chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from chatbill.adapters.inference.transformers.prefix_cache import common_length
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import InvalidRequest


def encode_turns(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn]) -> list[int]:
    """Return the prompt that asks the model for the next turn.

    Control tokens come from the template alone: messages are encoded as plain text, so no user can end a turn and write
    as the model by typing its markers. Where a template has no system role, the system turn becomes the beginning of
    the first user turn, as the templates of Gemma 3 do by themselves.
    """
    try:
        try:
            ids = _applied(tokenizer, turns)
        except TemplateError:
            if turns[0].role is not Role.SYSTEM:
                raise
            ids = _applied(tokenizer, _folded(turns))
    except ValueError as error:
        # Raised only where a tokenizer makes a control token out of plain text, which could forge a turn.
        raise InvalidRequest.of("message", "unreadable_markers") from error
    return [int(token) for token in ids]


def closing_tokens(encode: Callable[[Sequence[Turn]], Sequence[int]]) -> Sequence[int]:
    """Return what the template writes between a reply and the next message; empty where it changes earlier turns."""

    def encoded(reply: str, message: str) -> Sequence[int]:
        return encode((Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, reply), Turn(Role.USER, message)))

    beginning = encode((Turn(Role.USER, "Hi"),))
    one, with_other_reply, with_other_message = encoded("Hi", "Hi"), encoded("And", "Hi"), encoded("Hi", "And")
    start = len(one) - common_length(one[::-1], with_other_reply[::-1])
    end = common_length(one, with_other_message)
    return one[start:end] if one[: len(beginning)] == beginning else ()


def _applied(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn]) -> Any:
    messages = [{"role": turn.role.value, "content": turn.text} for turn in turns]
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
    )


def _folded(turns: Sequence[Turn]) -> Sequence[Turn]:
    system, first, *others = turns
    return (Turn(first.role, f"{system.text}\n\n{first.text}"), *others)
