"""English for every code that the core uses: one dictionary of templates per feature, and `render`.

A later issue puts these into translation catalogues; no other module of an entry point builds a sentence from a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatbill.domain.shared.descriptions import Description, Param
from chatbill.entrypoints.web.texts.billing import BILLING
from chatbill.entrypoints.web.texts.errors import ERRORS
from chatbill.entrypoints.web.texts.fields import FIELDS
from chatbill.entrypoints.web.texts.models import MODELS, Template


def render(description: Description) -> str:
    """Return the English sentence for a description. An unknown code renders as itself, so that nothing is hidden."""
    template = TEMPLATES.get(description.code)
    if template is None:
        return str(description)
    return template(description.params) if callable(template) else template.format_map(dict(description.params))


def _model_unavailable(params: Mapping[str, Param]) -> str:
    return f"{params['model']} is not available: {render(Description.loads(str(params['reason'])))}"


TEMPLATES: Final[dict[str, Template]] = {
    **BILLING,
    **ERRORS,
    **FIELDS,
    **MODELS,
    "model_unavailable": _model_unavailable,
}
"""A template for each code; `{name}` in a format string is a parameter, formatted by `str.format`."""
