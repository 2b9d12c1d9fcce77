"""Convert conversations to token ids by the model's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

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


def _applied(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn]) -> Any:
    messages = [{"role": turn.role.value, "content": turn.text} for turn in turns]
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
    )


def _folded(turns: Sequence[Turn]) -> Sequence[Turn]:
    system, first, *others = turns
    return (Turn(first.role, f"{system.text}\n\n{first.text}"), *others)
