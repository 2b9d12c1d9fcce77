"""Make chunks of tokens: a reply ends at a stop string, and every token is counted exactly once."""

from __future__ import annotations

from chatbill.application.ports.engine import Chunk


class StopFilter:
    """Passes text on, up to the first of the stop strings.

    Text that may be the beginning of a stop string is held back until it is known not to be one, so no part of a stop
    string is ever shown.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    @property
    def holds(self) -> bool:
        """True while text is held back."""
        return bool(self._held)

    def push(self, text: str) -> str:
        """Add `text`, and return what can be shown. Sets `stopped` when a stop string is complete."""
        if self.stopped:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        self._held = ""
        ends = [index for stop in self._stops if (index := text.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return text[: min(ends)]
        if keep := max(_overlap(text, stop) for stop in self._stops):
            text, self._held = text[:-keep], text[-keep:]
        return text

    def flush(self) -> str:
        """Return the text that was held back, when no text follows."""
        held, self._held = self._held, ""
        return held


class ChunkBuilder:
    """Turns the text of one token after the other into chunks whose tokens add up to the tokens written.

    While a part of the text is held back, the last token waits with it: so the chunk that shows the rest, even
    after the reply has ended, still has a token of its own.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._filter = StopFilter(stops)
        self._text = ""
        self._tokens = 0

    @property
    def stopped(self) -> bool:
        """True once a stop string was written."""
        return self._filter.stopped

    def push(self, text: str, *, tokens: int = 1, incomplete: bool = False) -> Chunk | None:
        """Add tokens, with the text that they complete; `incomplete` when they leave a character unfinished."""
        self._tokens += tokens
        self._text += self._filter.push(text)
        waiting = 1 if (incomplete or self._filter.holds) and not self.stopped else 0
        return self._take(self._tokens - waiting)

    def finish(self, text: str = "") -> Chunk | None:
        """Return the rest of the reply, with `text` as its last part, if there is any."""
        self._text += self._filter.push(text) + self._filter.flush()
        return self._take(self._tokens)

    def _take(self, tokens: int) -> Chunk | None:
        if tokens < 1:
            return None
        chunk = Chunk(self._text, tokens)
        self._text = ""
        self._tokens -= tokens
        return chunk


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that is a proper beginning of `stop`."""
    return next(
        (size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])),
        0,
    )
