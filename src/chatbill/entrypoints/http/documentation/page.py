"""Renders the OpenAPI document as the HTML page at /docs, without scripts or files of other hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

METHODS: Final = ("get", "post", "put", "patch", "delete")
STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
summary { cursor: pointer; padding: .5rem }
details.operation { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0 }
details.operation > div { padding: 0 1rem 1rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; text-transform: uppercase }
code, pre { font: 14px/1.45 ui-monospace, monospace }
code { background: var(--soft); border-radius: .25rem; padding: .1rem .25rem }
pre { background: var(--soft); border-radius: .5rem; padding: .75rem; overflow: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line) }
nav a { margin-right: 1rem }
"""


class PageRenderPlugin(OpenAPIRenderPlugin):
    """Renders the page on the server, so that it is complete without a network."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        return render_page(openapi_schema, request.scope.get("root_path", "")).encode()


def render_page(schema: Mapping[str, Any], root_path: str = "") -> str:
    """Return the HTML document for an OpenAPI 3.1 document that is served below `root_path`."""
    info = schema["info"]
    title = escape(f"{info['title']} {info['version']}")
    tags = schema.get("tags", [])
    links = "".join(f'<a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a>' for tag in tags)
    sections = "".join(_section(schema, tag) for tag in tags)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1>{_prose(info.get('description', ''))}"
        f'<nav>{links}<a href="{root_path}/docs/openapi.json">openapi.json</a></nav>{sections}</body></html>'
    )


def _section(schema: Mapping[str, Any], tag: Mapping[str, Any]) -> str:
    operations = "".join(
        _operation(schema, method, path, operation)
        for path, method, operation in _operations(schema)
        if tag["name"] in operation.get("tags", [])
    )
    name = escape(tag["name"])
    return f'<h2 id="{_anchor(tag["name"])}">{name}</h2>{_prose(tag.get("description", ""))}{operations}'


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _operation(schema: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    lock = " · needs a token" if operation.get("security") else ""
    parts = [
        _prose(operation.get("description", "")),
        _parameters(operation.get("parameters", [])),
        _body(schema, operation.get("requestBody")),
        _responses(operation.get("responses", {})),
    ]
    return (
        f'<details class="operation" id="{escape(operation["operationId"])}"><summary>'
        f'<span class="method">{method}</span> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary', ''))}{lock}</summary><div>{''.join(parts)}</div></details>"
    )


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{', required' if parameter.get('required') else ''}</td>"
        f"<td>{_inline(parameter.get('description', ''))}</td></tr>"
        for parameter in parameters
    )
    return f"<h4>Parameters</h4><table>{rows}</table>"


def _body(schema: Mapping[str, Any], body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    model = _resolved(schema, body["content"]["application/json"]["schema"])
    required = model.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(field)}{', required' if name in required else ''}</td>"
        f"<td>{_inline(field.get('description', ''))}</td></tr>"
        for name, field in model.get("properties", {}).items()
    )
    return f"<h4>Body</h4><table>{rows}</table>{_pre(_example(model))}"


def _example(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body made of the examples of its fields."""
    return {name: field["examples"][0] for name, field in model.get("properties", {}).items() if field.get("examples")}


def _responses(responses: Mapping[str, Any]) -> str:
    parts = ["<h4>Answers</h4>"]
    for status, response in responses.items():
        samples = "".join(
            f"<p><code>{escape(media_type)}</code></p>" + "".join(_sample(sample) for sample in _samples(content))
            for media_type, content in (response.get("content") or {}).items()
        )
        heading = f"<strong>{escape(status)}</strong> {_inline(response.get('description', ''))}"
        parts.append(f"<details><summary>{heading}</summary>{samples}</details>" if samples else f"<p>{heading}</p>")
    return "".join(parts)


def _samples(content: Mapping[str, Any]) -> list[Any]:
    return [example.get("value") for example in (content.get("examples") or {}).values()]


def _sample(value: Any) -> str:
    return f"<pre>{escape(value)}</pre>" if isinstance(value, str) else _pre(value)


def _pre(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _resolved(schema: Mapping[str, Any], model: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = model.get("$ref")
    if reference is None:
        return model
    resolved: Mapping[str, Any] = schema["components"]["schemas"][reference.rpartition("/")[2]]
    return resolved


def _type(field: Mapping[str, Any]) -> str:
    choices = field.get("oneOf") or field.get("anyOf") or [field]
    return escape(" or ".join(str(choice.get("type", "object")) for choice in choices))


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _anchor(name: str) -> str:
    return escape(name.lower().replace(" ", "-"))
