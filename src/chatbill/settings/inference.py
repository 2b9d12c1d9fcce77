"""Settings: models, engines and the cache of answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from chatbill.adapters.inference.catalogue.address import checked_address
from chatbill.settings.money import PriceSetting
from chatbill.settings.types import Grace, Seconds


class InferenceSettings(BaseSettings):
    """Models, engines and the cache of answers."""

    models: str = Field(
        default="demo",
        min_length=1,
        description="`demo`, `gemma`, `gemma-gguf`, or the path of a catalogue file (TOML).",
    )
    prices: dict[str, PriceSetting] = Field(
        default={},
        description='Prices that replace the catalogue\'s, by model id, as JSON: `{"demo-mini": 2}` or with '
        "`per_reply`, `per_1k_prompt_tokens` and `per_1k_completion_tokens`, in credits.",
    )
    engine: Literal["local", "transformers", "openai", "scripted"] = Field(
        default="local",
        description="The engine: models on this machine, the same by Transformers alone, a server with OpenAI's API, "
        "or a test engine.",
    )
    local_engine: Literal["auto", "llama_cpp", "transformers"] = Field(
        default="auto",
        description="What runs the models of this machine. `auto`: Transformers on a GPU; on a CPU llama.cpp where "
        "there is a GGUF file, and otherwise Transformers.",
    )
    engine_url: Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(checked_address)] | None = Field(
        default=None, description="Base address of the server for the `openai` engine, as in `http://host:8001/v1`."
    )
    engine_api_key: SecretStr | None = Field(default=None, description="API key for that server, if it requires one.")
    engine_concurrency: int = Field(
        default=32, ge=1, le=10_000, description="Requests that are sent to that server at once, for each model."
    )
    engine_silence_s: Seconds = Field(
        default=30, description="Longest time between two tokens of a model's server, in seconds."
    )
    generation_timeout_s: Seconds = Field(default=120, description="Longest time one reply may take, in seconds.")
    first_token_timeout_s: Seconds = Field(
        default=60,
        description="Longest time until a reply's first token, including the wait in the queue, in seconds.",
    )
    max_reply_tokens: int = Field(default=512, ge=1, le=131_072, description="Longest reply, in tokens.")
    max_message_chars: int = Field(default=32_000, ge=1, le=1_000_000, description="Longest message, in characters.")
    batch_size: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Replies that one model writes at the same time; further replies wait. The test engine has this "
        "limit only if it is set.",
    )
    lazy_models: bool = Field(
        default=False, description="Whether models are loaded by their first message instead of at start."
    )
    load_wait_s: Seconds = Field(
        default=60,
        description="Longest time a message waits for its model to be loaded before it is refused, in seconds.",
    )
    load_timeout_s: Seconds = Field(
        default=1_800,
        description="Longest time without progress while a model is loaded, in seconds; after it, loading fails.",
    )
    probe_interval_s: Grace = Field(
        default=30,
        description="Time without a token after which a model, local or on a server, is tested by a request for one "
        "token, in seconds; 0: never.",
    )
    stuck_after_s: Seconds = Field(
        default=120,
        description="Longest time without progress while a local model writes replies, in seconds; after it, the model "
        "is stopped and loaded again.",
    )
    queue_size: int = Field(
        default=100, ge=0, le=100_000, description="Requests that may wait for a model before others are refused."
    )
    queue_share_percent: int = Field(
        default=25,
        ge=1,
        le=100,
        description="The part of a model's queue that one user may take, in percent; 100: no limit.",
    )
    prefix_cache_bytes: int | None = Field(
        default=None,
        ge=0,
        le=1 << 44,
        description="Memory in which each local model keeps what it has read in conversations, in bytes. Without it: "
        "as much as its replies may need, and at most half of what they leave free; 0: nothing is kept.",
    )
    prefix_cache_ttl_s: Seconds = Field(
        default=3_600, description="How long this is kept after its last use, in seconds."
    )

    cache_bytes: int = Field(
        default=16_777_216,
        ge=0,
        le=1 << 40,
        description="Memory for answers to repeated prompts, in bytes; 0: no answer is kept.",
    )
    cache_ttl_s: Seconds = Field(default=600, description="How long such an answer is kept, in seconds.")
    cache_shared: bool = Field(
        default=False, description="Whether a user may get the stored answer to the same prompt of another user."
    )
