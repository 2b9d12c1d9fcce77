"""What is known of a model's files, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chatbill.adapters.inference.catalogue.model_spec import (
    FolderSource,
    GgufSource,
    HubSource,
    ModelSpec,
    ServerSource,
    WheelSource,
)
from chatbill.adapters.inference.weights.storage import file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The state of a model's files. Sizes in bytes; `download_bytes` is 0 when all is fetched.

    `folder` is a file where the model is one. `fault` says what is wrong with files that are here, or that should be
    and cannot be fetched; "" without a fault. `source` and `licence` are texts for operators. A model on a server has
    no files here: `elsewhere` is True.
    """

    fetched: bool
    folder: Path
    disk_bytes: int
    download_bytes: int
    source: str
    licence: str
    elsewhere: bool = False
    fault: str = ""


def hub_name(source: HubSource) -> str:
    """Return the name that a hub's repository has in the models folder."""
    return file_name(source.repository if source.revision == "main" else f"{source.repository}@{source.revision}")


def wheel_name(source: WheelSource) -> str:
    """Return the name that what is made of a wheel's file has in the models folder."""
    return file_name(f"{source.package}-{source.version}-{source.file_sha256[:8]}")


def source_words(spec: ModelSpec) -> str:
    """Return where a model comes from, for operators."""
    match spec.source:
        case FolderSource(folder=folder):
            return f"folder {folder}"
        case GgufSource(file=file):
            return f"file {file}"
        case HubSource(repository=repository, file=file, revision=revision, gated=gated) as hub:
            name = f"{repository} {file}".strip()
            change = "" if hub.is_pinned else ", WARNING: its files may change; set `revision` to a commit"
            return f"hub {name} at {revision}{change}" + (" (accept its licence and set HF_TOKEN)" if gated else "")
        case WheelSource(package=package, version=version):
            return f"wheel {package} {version}"
        case ServerSource(url=url):
            return f"server {url}, as {spec.served_name}"
