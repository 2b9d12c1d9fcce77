"""LangChain's `ChatOpenAI` against a running service: `python langchain_client.py URL KEY` prints what it got."""

from __future__ import annotations

import asyncio
import json
import sys

import openai
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI


async def main(url: str, key: str) -> dict[str, object]:
    """Get one reply of each kind, three errors, and a fallback."""
    model = ChatOpenAI(model="demo-mini", base_url=f"{url}/v1", api_key=key, max_retries=0)
    said = [
        SystemMessage("Be brief."),
        HumanMessage("Hello"),
        AIMessage("Hello to you."),
        HumanMessage("one two three"),
    ]
    whole = model.invoke(said)
    pieces = list(model.stream(said, stream_usage=True))
    together = pieces[0]
    for piece in pieces[1:]:
        together += piece
    awaited = await model.ainvoke("four five", stop=["five"])
    batch = await model.abatch(["a", "b", "c"])
    found: dict[str, object] = {
        "whole": [whole.content, whole.response_metadata["finish_reason"], whole.usage_metadata["total_tokens"]],
        "streamed": [together.content, together.usage_metadata["output_tokens"]],
        "awaited": awaited.content.strip(),
        "batch": [each.content for each in batch],
    }
    for name, wrong in (("key", {"api_key": "cb_x_y"}), ("model", {"model": "gpt-5"})):
        broken = ChatOpenAI(**{"model": "demo-mini", "base_url": f"{url}/v1", "api_key": key, "max_retries": 0} | wrong)
        try:
            broken.invoke("x")
        except openai.APIStatusError as error:
            # LangChain has classes of its own for some of the client's errors.
            found[name] = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("openai"))
    long = [HumanMessage("w " * 1_100), AIMessage("Go on."), HumanMessage("w " * 1_100), AIMessage("Yes."), *said]
    for name, ask in (("context", model.invoke), ("streamed_context", lambda sent: list(model.stream(sent)))):
        try:
            ask(long)
        except ContextOverflowError as error:
            found[name] = type(error).__name__
    larger = ChatOpenAI(model="demo-pro", base_url=f"{url}/v1", api_key=key, max_retries=0)
    found["fallback"] = (
        model.with_fallbacks([larger], exceptions_to_handle=(ContextOverflowError,)).invoke(long).content
    )
    try:
        list(model.stream("a b c [[fail:after:2]]"))
    except openai.APIError as error:
        found["failure"] = error.message
    return found


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201
