"""LiteLLM as a client of a running service: `python litellm_client.py URL KEY` prints what it got."""

from __future__ import annotations

import asyncio
import json
import sys

import litellm


async def main(url: str, key: str) -> dict[str, object]:
    """Get one reply of each kind, errors, and a fallback."""
    common = {"model": "openai/demo-mini", "api_base": f"{url}/v1", "api_key": key, "num_retries": 0}
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]
    whole = litellm.completion(messages=said, **common)
    stream = litellm.completion(messages=said, stream=True, stream_options={"include_usage": True}, **common)
    chunks = list(stream)
    together = litellm.stream_chunk_builder(chunks, messages=said)
    awaited = await litellm.acompletion(messages=said, max_tokens=2, **common)
    found: dict[str, object] = {
        "whole": [whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage.total_tokens],
        "charged": whole.usage.credits_charged,
        "streamed": [together.choices[0].message.content, together.usage.completion_tokens],
        "awaited": [awaited.choices[0].message.content, awaited.choices[0].finish_reason],
    }
    long = [{"role": role, "content": "w " * 600} for _ in range(3) for role in ("user", "assistant")] + said[1:]
    for name, wrong in (
        ("key", {"api_key": "cb_x_y"}),
        ("model", {"model": "openai/gpt-5"}),
        ("n", {"n": 2}),
        ("context", {"messages": long}),
        ("streamed_context", {"messages": long, "stream": True}),
        ("long_message", {"messages": [{"role": "user", "content": "w " * 20_000}]}),
        ("failure", {"messages": [{"role": "user", "content": "a b c [[fail:after:2]]"}], "stream": True}),
    ):
        try:
            list(litellm.completion(**{"messages": said} | common | wrong))
        except Exception as error:  # noqa: BLE001 - which one it is, is what the test asks
            found[name] = type(error).__name__
    models = [
        {"model_name": "small", "litellm_params": common},
        {"model_name": "large", "litellm_params": common | {"model": "openai/demo-pro"}},
    ]
    router = litellm.Router(models, context_window_fallbacks=[{"small": ["large"]}], num_retries=0)
    fallback = router.completion(model="small", messages=long)
    found["fallback"] = [fallback.model, fallback.choices[0].message.content]
    return found


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201
