"""Thoughts that a model writes inline are split off, however its text is cut into chunks."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatbill.adapters.inference.catalogue.model_spec import Thinking
from chatbill.adapters.inference.thinking import ThinkingEngine, ThoughtSplitter
from chatbill.application.ports.engine import THINKING, Chunk, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, MINI, PRO

PARTS = st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", "<", ">", "a", "b c", " ", "\n", "think", "😀"])
TEXTS = st.lists(PARTS, max_size=12).map("".join)
MODES = (Thinking.TAGS, Thinking.OPENED)


def expected(text: str, mode: Thinking) -> str:
    """Return what is shown of a whole text: what follows the blocks of thoughts at its beginning."""
    rest = text if mode is Thinking.TAGS else f"<think>{text}"
    while block := re.match(r"\s*<think>(.*?)(</think>\s*|\Z)", rest, re.DOTALL):
        rest = rest[block.end() :]
    return rest


def shown(chunks: list[str], mode: Thinking) -> str:
    splitter = ThoughtSplitter(mode)
    return "".join([splitter.push(chunk) for chunk in chunks]) + splitter.finish()


def cut(text: str, places: list[int]) -> list[str]:
    """Return the text in pieces that end at these places."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("mode", MODES)
@given(text=TEXTS, places=st.lists(st.integers(0, 99), max_size=12))
@example(text="<think>hm</think>\n\nParis.", places=list(range(30)))
@example(text=" <think>a</think> <think>b</think> c <think>d</think>", places=[])
@example(text="<think>never closed", places=[3, 9])
def test_any_cutting_gives_the_same_split(mode: Thinking, text: str, places: list[int]) -> None:
    assert shown(cut(text, places), mode) == shown(list(text), mode) == shown([text], mode) == expected(text, mode)


@pytest.mark.parametrize(
    ("text", "mode", "rest"),
    [
        ("<think>hm</think>\n\nParis.", Thinking.TAGS, "Paris."),
        ("\n<think>\n</think>\nParis.", Thinking.TAGS, "Paris."),
        ("hm</think>\n\nParis.", Thinking.OPENED, "Paris."),
        ("hm</think>\n\nParis.", Thinking.TAGS, "hm</think>\n\nParis."),
        ("In HTML there is no `<think>` tag.", Thinking.TAGS, "In HTML there is no `<think>` tag."),
        ("  Paris.", Thinking.TAGS, "  Paris."),
        ("<thinking>is a tag", Thinking.TAGS, "<thinking>is a tag"),
        ("<think>a</think>b</think>c", Thinking.TAGS, "b</think>c"),
        ("<think>cut off", Thinking.TAGS, ""),
        ("<thi", Thinking.TAGS, "<thi"),
        ("", Thinking.OPENED, ""),
    ],
)
def test_what_follows_the_thoughts_is_shown(text: str, mode: Thinking, rest: str) -> None:
    assert shown([text], mode) == rest


async def chunks_of(texts: list[Chunk], model: ModelId = MINI) -> list[Chunk]:
    engine = ControlledEngine(CATALOGUE)
    thinking = ThinkingEngine(engine, {MINI: Thinking.TAGS})
    request = GenerationRequest(model=model, turns=(Turn(Role.USER, "Hi"),), max_tokens=20)
    generation = await thinking.prepare(request)
    for chunk in texts:
        engine.last.say(chunk.text, chunk.tokens)
    engine.last.cut_off, engine.last.completion_tokens, engine.last.dropped_turns = True, 9, 2
    engine.last.end()
    written = [chunk async for chunk in generation.stream()]
    assert (generation.prompt_tokens, generation.cut_off, generation.completion_tokens) == (10, True, 9)
    assert (generation.dropped_turns, generation.filtered, generation.cached) == (2, False, False)
    await generation.close()
    assert engine.last.closed
    return written


async def test_thoughts_are_announced_once_and_their_tokens_come_with_the_reply() -> None:
    texts = [
        Chunk("<th", 1),
        Chunk("ink>hm", 2),
        Chunk(" hm", 1),
        Chunk("</think>", 1),
        Chunk("\nPa", 1),
        Chunk("ris.", 1),
    ]
    assert await chunks_of(texts) == [THINKING, Chunk("Pa", 6), Chunk("ris.", 1)]
    assert await chunks_of([THINKING, *texts]) == [THINKING, Chunk("Pa", 6), Chunk("ris.", 1)]


async def test_thoughts_alone_have_their_tokens_and_no_text() -> None:
    assert await chunks_of([Chunk("<think>hm", 2), Chunk(" hm", 1)]) == [THINKING, Chunk("", 3)]


async def test_a_reply_without_thoughts_and_another_model_are_passed_on() -> None:
    plain = [Chunk("<", 1), Chunk("b> is", 2), Chunk(" a tag", 1)]
    assert await chunks_of(plain) == [Chunk("<b> is", 3), Chunk(" a tag", 1)]
    tagged = [replace(chunk, text=f"<think>{chunk.text}") for chunk in plain]
    assert await chunks_of(tagged, PRO) == tagged
