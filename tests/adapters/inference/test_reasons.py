"""Each reason that an adapter gives has a text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chatbill.adapters.inference
from chatbill.domain.shared.descriptions import Description, Param
from chatbill.entrypoints.web.texts import TEMPLATES, render

FOLDER = Path(chatbill.adapters.inference.__path__[0])
MEMORY: dict[str, Param] = {
    "need_bytes": 5_000_000_000,
    "weights_bytes": 3_000_000_000,
    "known": True,
    "where": "RAM",
    "slots": 1,
    "free_bytes": 4_000_000_000,
    "without_others": False,
    "short_bytes": 1_000_000_000,
    "int8": True,
}
NEEDS = "needs 5.0 GB of RAM (3.0 GB for its weights, 2.0 GB to load it and write 1 reply) and 4.0 GB are free"
ADVICE = "free 1.0 GB more, load it in int8, or choose a smaller model"


def test_every_code_of_the_adapters_has_a_template() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py"))
    codes = set(re.findall(r'Description(?:\.of)?\(\s*"(\w+)"', source))

    assert len(codes) > 20
    assert codes <= set(TEMPLATES)


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (Description.of("model_loading", stage="load"), "it is being loaded"),
        (Description.of("model_loading", stage="download", percent=40), "it is being fetched, 40 %"),
        (Description.of("model_still_loading", stage="room"), "it waits for another model to make room; try again in"),
        (
            Description.of("model_load_stalled", after_s=0.2, stage="load"),
            "its loading has not got further for 0.2 s (it is being loaded); it is loaded again once that comes to",
        ),
        (Description("model_memory", MEMORY), f"{NEEDS}; {ADVICE}"),
        (
            Description("model_no_room", {"others": "a and b", **MEMORY}),
            f"there is no room for it beside a and b; it {NEEDS}",
        ),
        (
            Description("model_not_reloaded", {"cause": "model_memory", **MEMORY}),
            f"it stopped answering and could not be loaded again: {NEEDS}",
        ),
        (
            Description.of("model_not_reloaded", cause="model_not_loaded", error="ValueError"),
            "it stopped answering and could not be loaded again: it could not be loaded (ValueError)",
        ),
        (
            Description.of("model_unavailable", model="demo-mini", reason=Description("model_unknown").dumps()),
            "demo-mini is not available: the engine does not know this model",
        ),
    ],
    ids=lambda value: value.code if isinstance(value, Description) else "",
)
def test_a_reason_reads_as_a_sentence(description: Description, text: str) -> None:
    assert render(description).startswith(text)
