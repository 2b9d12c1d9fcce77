"""LiteLLM as a client of a running service: `python litellm_client.py URL KEY` prints what it got."""

from __future__ import annotations

import asyncio
import json
import sys

import litellm


async def main(url: str, key: str) -> dict[str, object]:
    """One reply of each kind, and three errors."""
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
    for name, wrong in (
        ("key", {"api_key": "cb_x_y"}),
        ("model", {"model": "openai/gpt-5"}),
        ("n", {"n": 2}),
        ("failure", {"messages": [{"role": "user", "content": "a b c [[fail:after:2]]"}], "stream": True}),
    ):
        try:
            list(litellm.completion(**{"messages": said} | common | wrong))
        except Exception as error:  # noqa: BLE001 - which one it is, is what the test asks
            found[name] = type(error).__name__
    return found


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201
