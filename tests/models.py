"""The real demo model for tests: fetched and converted once for each machine, loaded once for each test run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import platformdirs

from chatbill.adapters.inference.library import ModelLibrary
from chatbill.adapters.inference.specs import load_catalogue
from chatbill.adapters.inference.transformers import TransformersEngine


def models_folder() -> Path:
    """Where test runs keep models: `CHATBILL_TEST_MODELS`, or the user's cache. Usable as a service's models folder."""
    if folder := os.environ.get("CHATBILL_TEST_MODELS"):
        return Path(folder)
    return platformdirs.user_cache_path("chatbill") / "models"


@cache
def demo_model_folder() -> Path:
    """The converted demo model."""
    return ModelLibrary(models_folder()).ensure(load_catalogue("demo")[0])


@contextmanager
def demo_engine(*, max_queued: int) -> Iterator[TransformersEngine]:
    """An engine with both demo models, ready to answer on any event loop."""
    demo_model_folder()
    engine = TransformersEngine(load_catalogue("demo"), ModelLibrary(models_folder()), max_queued=max_queued)
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())
