"""Hypothesis strategies for the values of billing."""

from __future__ import annotations

from hypothesis import strategies as st

from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description


def amounts(max_value: int = 1_000) -> st.SearchStrategy[int]:
    """Return whole credits from 1."""
    return st.integers(1, max_value)


def usages(max_tokens: int = 5_000) -> st.SearchStrategy[Usage]:
    """Return tokens read and written by a reply."""
    tokens = st.integers(0, max_tokens)
    return st.builds(Usage, prompt_tokens=tokens, completion_tokens=tokens)


def prices(max_credits: int = 50) -> st.SearchStrategy[Price]:
    """Return prices with and without token parts."""
    part = st.integers(0, max_credits)
    return st.builds(Price, per_reply=part, per_1k_prompt_tokens=part, per_1k_completion_tokens=part)


def descriptions() -> st.SearchStrategy[Description]:
    """Return codes with parameters of every type."""
    word = st.text("abcdefghij_", min_size=1, max_size=12)
    value = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))
    return st.builds(Description, word, st.dictionaries(word.filter(lambda name: name != "code"), value, max_size=3))


def subjects() -> st.SearchStrategy[Subject]:
    """Return subjects of any kind."""
    return st.builds(Subject, st.sampled_from(["caption", "report", "call"]), st.uuids().map(str))
