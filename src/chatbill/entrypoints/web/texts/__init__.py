"""English for every code that the core uses: one dictionary of templates per feature, and `render`.

A later issue puts these into translation catalogues; no other module of an entry point builds a sentence from a code.
"""

from __future__ import annotations

from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.texts.billing import BILLING
from chatbill.entrypoints.web.texts.errors import ERRORS
from chatbill.entrypoints.web.texts.fields import FIELDS
from chatbill.entrypoints.web.texts.models import MODELS

TEMPLATES = {**BILLING, **ERRORS, **FIELDS, **MODELS}
"""A format string for each code; `{name}` is a parameter, formatted by `str.format`."""


def render(description: Description) -> str:
    """Return the English sentence for a description. An unknown code renders as itself, so that nothing is hidden."""
    template = TEMPLATES.get(description.code)
    return str(description) if template is None else template.format_map(dict(description.params))
