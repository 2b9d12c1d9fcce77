"""Conversations to token ids by the model's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from chatbill.domain.chat import Turn
from chatbill.domain.errors import InvalidRequest


def encode_turns(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn]) -> list[int]:
    """The prompt that asks the model for the next turn.

    Control tokens come from the template alone: what people wrote is encoded as plain text, so nobody can end their
    own turn and speak as the model by typing its markers.
    """
    messages = [{"role": turn.role.value, "content": turn.text} for turn in turns]
    try:
        ids: Any = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
        )
    except ValueError as error:
        # Only a tokenizer that makes a control token out of plain text comes here; better no answer than a forged turn.
        raise InvalidRequest.of("message", "contains markers that this model cannot read as plain text") from error
    return [int(token) for token in ids]
