"""Colours code by its language. Code of any other language, and long code, is shown without colours."""

from __future__ import annotations

import time
from functools import cache
from io import StringIO
from typing import Final

from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

MAX_CHARS: Final = 10_000
MAX_CPU_S: Final = 0.2
"""Some lexers take the square of the length for some code; what takes longer gets no colours."""
LANGUAGES: Final = frozenset(
    (
        *("bash", "c", "c++", "console", "cpp", "cs", "csharp", "css", "diff", "docker", "dockerfile", "go", "golang"),
        *("html", "java", "javascript", "js", "json", "jsx", "kotlin", "latex", "lua"),
        *("php", "powershell", "py", "python", "python3", "r", "rb", "rs", "ruby", "rust", "sh", "shell", "sql"),
        *("swift", "tex", "toml", "ts", "tsx", "typescript", "xml", "yaml", "yml", "zsh"),
    )
)
"""The names that fences may give. A lexer is missing here if it takes long for a single token."""
CLASSES: Final = frozenset(name for name in STANDARD_TYPES.values() if name)
_STYLES = {"light": "xcode", "dark": "one-dark"}
_FORMATTER = HtmlFormatter(nowrap=True)


def highlighted(code: str, language: str, _attributes: str = "") -> str:
    """Return the HTML of code with classes for its colours; an empty text if it gets none."""
    if language.lower() not in LANGUAGES or len(code) > MAX_CHARS:
        return ""
    tokens: list[tuple[object, str]] = []
    end = time.thread_time() + MAX_CPU_S
    for token in _lexer(language.lower()).get_tokens(code):
        tokens.append(token)
        if time.thread_time() > end:
            return ""
    if "".join(text for _, text in tokens) != code:
        return ""
    html = StringIO()
    _FORMATTER.format(tokens, html)
    return html.getvalue() if code.endswith("\n") else html.getvalue().removesuffix("\n")


@cache
def stylesheet() -> str:
    """Return the colours, for light and dark pages."""
    light = _colours("light", ".cb-md pre")
    chosen = _colours("dark", ':root[data-theme="dark"] .cb-md pre')
    preferred = _colours("dark", ':root:not([data-theme="light"]) .cb-md pre')
    return f"{light}\n{chosen}\n@media (prefers-color-scheme: dark) {{\n{preferred}\n}}"


def _colours(scheme: str, below: str) -> str:
    lines = HtmlFormatter(style=_STYLES[scheme]).get_style_defs(below).splitlines()
    return "\n".join(line for line in lines if "cb-md pre ." in line)


@cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language, stripnl=False, ensurenl=False)
