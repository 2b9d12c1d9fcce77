"""Words for every code that the core uses: one dictionary of templates per feature, and `render`.

Templates are English, and are translated into the language of the context.

No other module of an entry point builds a sentence from a code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from chatbill.domain.shared.descriptions import Description, Param
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts.amounts import Template, credits_text
from chatbill.entrypoints.web.texts.billing import BILLING
from chatbill.entrypoints.web.texts.errors import ERRORS
from chatbill.entrypoints.web.texts.fields import FIELDS
from chatbill.entrypoints.web.texts.models import MODELS
from chatbill.entrypoints.web.texts.monitoring import MONITORING
from chatbill.entrypoints.web.texts.store import STORE

__all__ = ["TEMPLATES", "credits_text", "render"]


def render(description: Description) -> str:
    """Return the sentence for a description. An unknown code renders as itself, so that nothing is hidden."""
    template = TEMPLATES.get(description.code)
    if template is None:
        return str(description)
    return template(description.params) if callable(template) else _(template).format_map(dict(description.params))


def _nested(value: Param) -> str:
    """Return the sentence for a description inside another one; text that is no description stays as it is."""
    try:
        return render(Description.loads(str(value)))
    except ValueError:
        return str(value)


def _model_unavailable(params: Mapping[str, Param]) -> str:
    return _("{model} is not available: {reason}").format(model=params["model"], reason=_nested(params["reason"]))


def _store_unavailable(params: Mapping[str, Param]) -> str:
    return f"{_nested(params['advice'])} ({params['cause']})"


def _broken_rules(params: Mapping[str, Param]) -> str:
    return "; ".join(f"{field}: {_nested(rule)}" for field, rule in json.loads(str(params["errors"])))


TEMPLATES: Final[dict[str, Template]] = {
    **BILLING,
    **ERRORS,
    **FIELDS,
    **MODELS,
    **MONITORING,
    **STORE,
    "invalid_request": _broken_rules,
    "too_large": _broken_rules,
    "model_unavailable": _model_unavailable,
    "store_unavailable": _store_unavailable,
}
"""A template for each code; `{name}` in a format string is a parameter, formatted by `str.format`."""
