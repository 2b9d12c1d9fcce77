"""The English texts: one for every code that is used, and what they say."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import chatbill
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.accounts.api_keys import KeyNameTaken
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    CapReached,
    ChatbillError,
    ContextLengthExceeded,
    FieldError,
    GenerationTimeout,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
)
from chatbill.entrypoints.web.texts import TEMPLATES, credits_text, render
from chatbill.entrypoints.web.texts.billing import BILLING
from chatbill.entrypoints.web.texts.errors import ERRORS
from chatbill.entrypoints.web.texts.fields import FIELDS
from chatbill.entrypoints.web.texts.models import MODELS
from chatbill.entrypoints.web.texts.store import STORE

SRC = Path(chatbill.__file__).parent
SAMPLE = 7
"""Stands for a parameter whose value is computed."""


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(SRC.rglob("*.py")):
        yield str(file.relative_to(SRC)), ast.parse(file.read_text(encoding="utf-8"))


def subclasses_in_source(base: str) -> dict[str, ast.ClassDef]:
    """Return the classes of the source that are this one or derive from it. Nothing is imported for it."""
    classes = [node for _, tree in parsed() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, ast.ClassDef] = {}
    wanted = {base}
    while wanted:
        more = {node.name: node for node in classes if node.name in wanted}
        found |= more
        wanted = {node.name for node in classes if {ast.unparse(of) for of in node.bases} & set(more)} - set(found)
    return found


class DescriptionsInSource(ast.NodeVisitor):
    """Collects each code that a module writes with the parameters that it gives."""

    def __init__(self, tree: ast.Module, reasoned: set[str], invalid: set[str]) -> None:
        self._described, self._invalid = reasoned | {"Description", "Description.of"}, invalid
        self._constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        self._class = ""
        self.found: list[tuple[str, Mapping[str, Any]]] = []
        self.visit(tree)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = outer

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = ast.unparse(node.func)
        if called.removesuffix(".of") in self._invalid and called.endswith(".of"):
            self._note(node, place=1)
        elif called in self._described or (called == "super().__init__" and self._class in self._described):
            self._note(node, place=0)

    def _note(self, node: ast.Call, *, place: int) -> None:
        code = self._value(node.args[place]) if len(node.args) > place else None
        # Parameters that come in a mapping are not known here.
        if isinstance(code, str) and code and len(node.args) == place + 1 and all(word.arg for word in node.keywords):
            params = {str(word.arg): self._value(word.value, SAMPLE) for word in node.keywords}
            self.found.append((code, params))

    def _value(self, node: ast.expr, default: Any = None) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        return self._constants.get(node.id, default) if isinstance(node, ast.Name) else default


def descriptions_in_source() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    by_hand = {"NotFound", "ModelNotFound"}  # their first argument is no code
    reasoned = set(subclasses_in_source("ReasonedError")) - by_hand
    invalid = set(subclasses_in_source("InvalidRequest"))
    for file, tree in parsed():
        if file.startswith("testing/"):
            continue  # the texts of what embedders test are theirs
        for code, params in DescriptionsInSource(tree, reasoned, invalid).found:
            yield file, code, params


def test_every_code_in_the_source_has_a_text_that_renders_with_its_parameters() -> None:
    found = list(descriptions_in_source())
    assert len(found) > 80
    assert {(file, code) for file, code, _ in found if code not in TEMPLATES} == set()
    for file, code, params in found:
        assert render(Description(code, params)), (file, code)


def test_every_error_for_people_has_a_text_for_its_own_code() -> None:
    classes = subclasses_in_source("ReasonedError") | subclasses_in_source("InvalidRequest")
    codes = {
        ast.literal_eval(node.value)
        for error in classes.values()
        for node in error.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code"
    }
    assert len(codes) > 15
    assert codes - {"key_file"} <= set(TEMPLATES), "a key file error always has a finer reason"


def test_no_code_has_two_texts() -> None:
    texts = {(code, text) for feature in (BILLING, ERRORS, FIELDS, MODELS, STORE) for code, text in feature.items()}
    codes = Counter(code for code, _ in texts)
    assert [code for code, count in codes.items() if count > 1] == []


def test_no_text_is_kept_for_a_code_that_is_not_used() -> None:
    written = {
        node.value
        for file, tree in parsed()
        if not file.startswith("entrypoints/web/texts/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(TEMPLATES) - written == set()


@pytest.mark.parametrize(("amount", "text"), [(0, "0 credits"), (1, "1 credit"), (1_250, "1,250 credits")])
def test_credits_are_written_with_their_plural(amount: int, text: str) -> None:
    assert credits_text(amount) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            InsufficientCredits(required=1, available=0),
            "This needs up to 1 credit and you have 0. Add credits and try again.",
        ),
        (
            InsufficientCredits(required=1_250, available=1_000),
            "This needs up to 1,250 credits and you have 1,000. Add credits and try again.",
        ),
        (
            CapReached(required=1, available=0, cap=20),
            (
                "This needs up to 1 credit and this API key can spend 0 more of its 20 before the month (UTC) ends. "
                "Use another key, or wait."
            ),
        ),
        (NotFound("conversation"), "This conversation was not found here."),
        (NotFound("api_key"), "This API key was not found here."),
        (NotFound("api_key", "cb_x"), "The API key cb_x was not found here."),
        (NotFound("user", "bob"), "The user bob was not found here."),
        (RateLimited(retry_after_s=0), "Too many requests. Try again in 1 s."),
        (
            RateLimited("too_many_replies", retry_after_s=1, max=2),
            "2 of your replies are being written, and no more may. Try again in 1 s.",
        ),
        (Overloaded(), "All places are taken. Try again in 1 s; nothing was charged."),
        (
            GenerationTimeout(after_s=0.05, what="first_word"),
            "No first word within 0.05 s; nothing was charged. Try again or ask for less.",
        ),
        (
            GenerationTimeout(after_s=30),
            "No whole reply within 30 s; nothing was charged. Try again or ask for less.",
        ),
        (KeyNameTaken(), "You have an API key of this name. Choose another name, or revoke that key first."),
        (
            ModelUnavailable("demo-mini", Description.of("text", text="it is away")),
            "demo-mini is not available: it is away",
        ),
        (
            ModelUnavailable("demo-mini", Description("service_stopping")),
            "demo-mini is not available: the service is stopping; try again in a moment",
        ),
        (
            InvalidRequest(
                FieldError("title", Description("empty")),
                FieldError("amount", Description.of("not_refundable", left=1)),
            ),
            "title: must not be empty; amount: must be at least 1, and 1 credit of the charge can still be refunded",
        ),
        (
            TooLarge.of("message", "too_long", max=10, length=11),
            "message: must be at most 10 characters, this has 11",
        ),
        (
            ContextLengthExceeded(limit=2_048, whole=True, tokens=6_084, reply=16),
            (
                "This model's maximum context length is 2048 tokens. However, the prompt is too long: it has at "
                "least 6084 tokens and 16 are for the completion, which exceeds the context window. "
                "Please reduce the length of the messages or completion."
            ),
        ),
        (
            ContextLengthExceeded(limit=2_048, whole=True),
            (
                "This model's maximum context length is 2048 tokens. However, the prompt is too long and exceeds the "
                "context window. Please reduce the length of the messages or completion."
            ),
        ),
        (
            ContextLengthExceeded(limit=2_048, whole=False, tokens=1_600, reply=512),
            (
                "This model's maximum context length is 2048 tokens. However, your message has at least 1600 tokens "
                "and 512 are for the reply. Shorten it, or ask for a shorter reply."
            ),
        ),
        (
            StoreUnavailable("no space", advice=Description("disk_full")),
            "The disk is full. Free some space; nothing that was confirmed is lost. (no space)",
        ),
        (StoreUnavailable("The store is closed."), "The store is closed."),
    ],
)
def test_an_error_is_told_in_a_sentence(error: ChatbillError, text: str) -> None:
    assert render(error.description) == text
    assert render(Description.loads(error.description.dumps())) == text


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert render(Description.of("not_yet_known", left=2)) == "not_yet_known(left=2)"


@pytest.mark.parametrize(
    ("within_s", "told"),
    [(1, "within 1 second."), (90, "within 90 seconds."), (600, "within 10 minutes."), (5_400, "within 90 minutes.")],
)
def test_the_time_in_which_no_password_is_needed_is_told_in_whole_units(within_s: float, told: str) -> None:
    assert render(Description.of("password_required", within_s=within_s)).endswith(told)


def test_a_time_of_zero_without_a_password_is_not_told() -> None:
    assert render(Description.of("password_required", within_s=0)) == (
        "This needs your password again: send it as password."
    )
