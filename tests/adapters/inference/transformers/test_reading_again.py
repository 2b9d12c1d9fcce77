"""What was read is not read again, and the replies are the same, token for token, in float32."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, Sampling, Weights
from chatbill.adapters.inference.transformers import torch_runtime
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId, UserId
from tests.adapters.inference.transformers.tiny import KINDS, WINDOW, make_tiny

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

ANNA, BEN = UserId("anna"), UserId("ben")
REPLY_TOKENS = WINDOW
STEPS = st.lists(
    st.tuples(st.sampled_from(["next", "edit", "regenerate", "new"]), st.sampled_from([ANNA, BEN]), st.integers(0)),
    min_size=2,
    max_size=6,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small products are fastest on one thread, above all on a busy machine."""
    torch_runtime("cpu")
    import torch  # noqa: PLC0415 - slow, and only for these tests

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        make_tiny(folder, kind)
    return folders


@cache
def loaded(folder: Path) -> Any:
    spec = replace(
        load_catalogue("demo")[0],
        weights=Weights.FP32,
        source=FolderSource(folder=folder),
        sampling=Sampling(temperature=0.0, repetition_penalty=1.0),
    )
    return torch_runtime("cpu").load(spec, folder)


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, tiny: dict[str, Path]) -> Iterator[Any]:
    model = loaded(tiny[request.param])
    model.prefixes.limit(1 << 30, ttl_s=3_600)
    yield model
    model.prefixes.limit(0)


@pytest.fixture
def llama(tiny: dict[str, Path]) -> Iterator[Any]:
    model = loaded(tiny[KINDS[0]])
    while model.can_read_ahead:  # after the replies of other tests
        model.read_ahead()
    model.prefixes.limit(1 << 30, ttl_s=3_600)
    yield model
    model.prefixes.limit(0)


def begun(model: Any, prompt: Sequence[int], owner: UserId | None, *, max_tokens: int = REPLY_TOKENS) -> Any:
    request = GenerationRequest(
        model=ModelId("any"), turns=(Turn(Role.USER, "not read"),), max_tokens=max_tokens, temperature=0.0, owner=owner
    )
    return model.begin(request, tuple(prompt), max_tokens=max_tokens)


def written(model: Any, *writings: Any) -> list[list[int]]:
    while running := [writing for writing in writings if not writing.ended]:
        model.step(running)
    for writing in writings:
        assert not writing.error
        model.end(writing)
    return [writing.written[0].tolist() for writing in writings]


def reply(model: Any, prompt: Sequence[int], owner: UserId | None = None) -> list[int]:
    return written(model, begun(model, prompt, owner))[0]


def read_before(model: Any, prompt: Sequence[int], owner: UserId | None) -> int:
    """Return how many tokens of the prompt a reply would not read again."""
    return int(begun(model, prompt, owner).cache.length)


def words(seed: int, count: int) -> list[int]:
    return random.Random(seed).choices(range(20, 400), k=count)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_replies_with_random_edits_are_those_of_a_model_that_reads_everything(
    model: Any, steps: list[tuple[str, UserId, int]]
) -> None:
    model.prefixes.clear()
    asked: dict[UserId, list[int]] = {owner: words(0, 5) for owner in (ANNA, BEN)}
    whole: dict[UserId, list[int]] = dict(asked)
    for kind, owner, seed in steps:
        match kind:
            case "next":
                prompt = whole[owner] + words(seed, 1 + seed % 30)
            case "edit":
                prompt = whole[owner][: 1 + seed % len(whole[owner])] + words(seed, 3)
            case "regenerate":
                prompt = asked[owner]
            case _:
                prompt = words(seed, 1 + seed % 60)
        warm, cold = written(model, begun(model, prompt, owner), begun(model, prompt, None))
        assert warm == cold
        asked[owner], whole[owner] = prompt, prompt + warm


def test_the_next_turn_reads_only_what_is_new(model: Any) -> None:
    prompt = words(1, 50)
    whole = prompt + reply(model, prompt, ANNA)

    assert read_before(model, whole + words(2, 20), ANNA) == len(whole) - 1


def test_a_regenerated_reply_reads_the_last_token_alone(llama: Any) -> None:
    prompt = words(1, 50)
    reply(llama, prompt, ANNA)

    assert read_before(llama, prompt, ANNA) == len(prompt) - 1


def test_a_changed_last_message_is_all_that_is_read(model: Any) -> None:
    first = words(1, 50)
    whole = first + reply(model, first, ANNA)
    reply(model, whole + words(2, 90), ANNA)

    assert read_before(model, whole + words(3, 20), ANNA) >= len(whole) - 1


def test_another_owner_reads_everything(model: Any) -> None:
    prompt = words(1, 50)
    reply(model, prompt, ANNA)

    assert read_before(model, prompt, BEN) == 0
    assert read_before(model, prompt, None) == 0


def test_a_reply_without_an_owner_leaves_nothing(model: Any) -> None:
    reply(model, words(1, 50), None)

    assert model.prefixes.size_bytes == 0


def test_what_the_template_begins_with_is_read_once_for_all(model: Any) -> None:
    prompts = [model.encode((Turn(Role.USER, text),)) for text in ("What is this?", "Tell me a story.")]
    same = next(place for place, (one, other) in enumerate(zip(*prompts, strict=False)) if one != other)

    assert same > 20
    assert [read_before(model, prompt, owner) for prompt, owner in zip(prompts, (ANNA, None), strict=True)] == [
        same
    ] * 2


def test_two_replies_that_go_on_from_one_conversation_do_not_disturb_each_other(model: Any) -> None:
    first = words(1, 50)
    whole = first + reply(model, first, ANNA)
    prompts = [whole + words(seed, 10) for seed in (2, 3)]
    expected = [reply(model, prompt) for prompt in prompts]

    assert written(model, *(begun(model, prompt, ANNA) for prompt in prompts)) == expected


def test_a_stopped_reply_leaves_what_was_read(model: Any) -> None:
    prompt = words(1, 50)
    stopped = begun(model, prompt, ANNA)
    for _ in range(3):
        model.step([stopped])
    model.end(stopped)

    assert read_before(model, prompt + stopped.written[0].tolist() + words(2, 5), ANNA) == len(prompt) + 2


def test_a_failed_reply_leaves_nothing(model: Any) -> None:
    failed = begun(model, words(1, 50), ANNA)
    model.step([failed])
    failed.error = ValueError("its own")
    model.end(failed)

    assert model.prefixes.size_bytes == 0


def test_where_a_batch_finds_no_memory_what_is_kept_is_given_up(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reply(llama, words(1, 50), ANNA)
    other = begun(llama, words(2, 50), BEN)
    forward = llama._forward

    def short_of_memory(*args: Any) -> Any:
        if llama.prefixes.size_bytes:
            raise MemoryError
        return forward(*args)

    monkeypatch.setattr(llama, "_forward", short_of_memory)
    llama.step([other])

    assert other.tokens == 1
    assert llama.prefixes.size_bytes == 0


def test_without_anything_kept_a_lack_of_memory_is_an_error(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(llama, "_forward", short_of_memory)

    with pytest.raises(MemoryError):
        llama.step([begun(llama, words(2, 50), BEN)])


def test_what_the_template_writes_after_a_reply_is_read_while_there_is_time(llama: Any) -> None:
    prompt = llama.encode((Turn(Role.USER, "Tell me about foxes."),))
    first = reply(llama, prompt, ANNA)
    llama.read_ahead()
    nothing_left = not llama.can_read_ahead
    following = [*prompt, *first, *llama._closing, *words(1, 5)]
    writing, of_another = (begun(llama, following, owner) for owner in (ANNA, BEN))

    assert nothing_left
    assert llama._tokenizer.decode(llama._closing) == "<|im_end|>\n<|im_start|>user\n"
    assert writing.cache.length == len(following) - 5
    assert of_another.cache.length < len(prompt)
    assert written(llama, writing)[0] == reply(llama, following)


def test_nothing_is_read_ahead_after_a_reply_that_was_stopped_or_whose_memory_was_given_up(llama: Any) -> None:
    prompt = llama.encode((Turn(Role.USER, "Tell me about bears."),))
    stopped = begun(llama, prompt, ANNA)
    while not stopped.tokens:
        llama.step([stopped])
    llama.end(stopped)
    after_a_stop = llama.can_read_ahead
    reply(llama, prompt, ANNA)
    llama.prefixes.clear()
    llama.read_ahead()

    assert not after_a_stop
    assert llama.prefixes.size_bytes == 0
