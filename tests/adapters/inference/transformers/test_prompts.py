"""Chat templates that know no turn of the system, and those that do, with a real tokenizer."""

from __future__ import annotations

from typing import Any

import pytest

from chatbill.adapters.inference.transformers import torch_runtime
from chatbill.adapters.inference.window import Window, fit_window
from chatbill.domain.chat.conversations import Role, Turn
from tests.kit.models import demo_model_folder

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

SAYS = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + SAYS
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}{% endfor %}" + SAYS
)
SYSTEM = Turn(Role.SYSTEM, "Be brief.")
TALK = (Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."), Turn(Role.USER, "And now?"))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    torch_runtime()
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow, and only for these tests

    return AutoTokenizer.from_pretrained(demo_model_folder())


def prompt(tokenizer: Any, template: str, *turns: Turn) -> str:
    from chatbill.adapters.inference.transformers.prompts import encode_turns  # noqa: PLC0415 - as above

    tokenizer.chat_template = template
    return str(tokenizer.decode(encode_turns(tokenizer, turns)))


@pytest.mark.parametrize("template", [REFUSES, ALTERNATES], ids=["refuses", "alternates"])
def test_the_system_turn_becomes_the_beginning_of_the_first_user_turn(tokenizer: Any, template: str) -> None:
    assert prompt(tokenizer, template, SYSTEM, *TALK) == (
        "[user] Be brief.\n\nHi\n[assistant] Hello.\n[user] And now?\n"
    )
    assert prompt(tokenizer, template, *TALK) == "[user] Hi\n[assistant] Hello.\n[user] And now?\n"


def test_a_template_with_a_system_role_gets_the_system_turn(tokenizer: Any) -> None:
    assert prompt(tokenizer, SAYS, SYSTEM, *TALK[:1]) == "[system] Be brief.\n[user] Hi\n"


def test_in_a_long_conversation_the_system_turn_joins_the_first_turn_that_fits(tokenizer: Any) -> None:
    def encode(turns: Any) -> Any:
        return prompt(tokenizer, REFUSES, *turns).split()

    short, whole = (
        fit_window((SYSTEM, *TALK), encode=encode, window=Window(limit=limit, least=0, most=1)) for limit in (6, 9)
    )
    assert (short.prompt, short.dropped_turns) == (["[user]", "Be", "brief.", "And", "now?"], 2)
    assert (len(whole.prompt), whole.dropped_turns) == (9, 0)


def test_a_template_that_refuses_every_conversation_is_an_error_of_the_model(tokenizer: Any) -> None:
    from jinja2 import TemplateError  # noqa: PLC0415 - as above

    for turns in (TALK, (SYSTEM, *TALK)):
        with pytest.raises(TemplateError):
            prompt(tokenizer, "{{ raise_exception('no') }}", *turns)
