from __future__ import annotations

from chatbill.entrypoints.ui.shared.templates import environment
from chatbill.entrypoints.web.language import Language, speaking


def test_a_constant_in_a_template_is_in_the_language_of_each_reader() -> None:
    template = environment().from_string("{{ 5|credits }}")
    assert template.render() == "5 credits"
    with speaking(Language("ru")):
        assert template.render() == "5 кредитов"


def test_every_value_is_escaped() -> None:
    assert environment().from_string("{{ value }}").render(value="<b>&") == "&lt;b&gt;&amp;"
