"""A model of the books in plain arithmetic, and an engine that writes when told to: what the state machine compares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from chatbill.application.ports.engine import Chunk, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.errors import GenerationFailed
from chatbill.domain.shared.ids import ModelId

START = datetime(2026, 1, 1, tzinfo=UTC)
FLAT, METERED = "flat", "metered"
CATALOGUE = Catalogue(
    tuple(
        Model(
            id=ModelId(name),
            name=name,
            tier=Tier.MINI,
            price=Price(per_reply=per_reply, per_1k_prompt_tokens=per_prompt, per_1k_completion_tokens=per_completion),
            context_tokens=1_000,
            max_reply_tokens=100,
        )
        for name, per_reply, per_prompt, per_completion in ((FLAT, 3, 0, 0), (METERED, 1, 300, 900))
    )
)


def cost(model: str, prompt_tokens: int, completion_tokens: int) -> int:
    """The catalogue's prices once more, by another road."""
    if model == FLAT:
        return 3
    thousandths = prompt_tokens * 300 + completion_tokens * 900
    return 1 + thousandths // 1_000 + bool(thousandths % 1_000)


class Writing:
    """A generation that does as it is told."""

    def __init__(self, request: GenerationRequest) -> None:
        self.prompt_tokens = len(request.turns[-1].text.split())
        self.completion_tokens: int | None = None
        self.cut_off: bool | None = None
        self.filtered = False
        self.dropped_turns = 0
        self.cached = False
        self._orders: asyncio.Queue[str | Exception | None] = asyncio.Queue()

    def order(self, order: str | Exception | None) -> None:
        """Write this word, or break, or be done."""
        self._orders.put_nowait(order)

    async def stream(self) -> AsyncIterator[Chunk]:
        """One token a word."""
        while (order := await self._orders.get()) is not None:
            if isinstance(order, Exception):
                raise order
            yield Chunk(order, 1)

    async def close(self) -> None:
        """Nothing runs."""


class ToldEngine:
    """Remembers the last generation, so that it can be told what to write."""

    name = "told"

    def __init__(self) -> None:
        self.last: Writing | None = None

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Every model is ready."""
        return {model: ModelStatus(state=ModelState.READY) for model in CATALOGUE}

    async def start(self) -> None:
        """Nothing to make ready."""

    async def prepare(self, request: GenerationRequest) -> Writing:
        """Always a place."""
        self.last = Writing(request)
        return self.last

    async def close(self) -> None:
        """Nothing to give back."""


def broken() -> Exception:
    """What an engine raises when it breaks."""
    return GenerationFailed()


@dataclass
class Asked:
    """A request as the model knows it."""

    owner: str
    conversation: int
    model: str
    prompt: str
    held: int
    expires_at: float
    api_key: int | None = None
    month: datetime = START
    outcome: str = "running"
    charged: int = 0
    words: list[str] = field(default_factory=list)
    reply: str = ""
    balance_after: int | None = None


@dataclass
class Person:
    """A wallet as the model knows it; `entries` are kind, signed amount and balance."""

    posted: int = 0
    held: int = 0
    entries: list[tuple[str, int, int]] = field(default_factory=list)
    keys: dict[str, tuple[object, object]] = field(default_factory=dict)

    def post(self, kind: str, signed: int) -> None:
        """Move credits."""
        self.posted += signed
        self.entries.append((kind, signed, self.posted))


@dataclass
class Key:
    """An API key as the model knows it."""

    owner: str
    name: str
    cap: int | None
    made_at: float
    expires_at: float | None
    revoked: bool = False
    used_at: float | None = None


@dataclass
class Work:
    """Work that is no request, as the model knows it: a hold of a caption, which is settled once."""

    owner: str
    held: int
    expires_at: float
    running: bool = True


@dataclass
class Purchase:
    """A payment as the model knows it."""

    owner: str
    credits: int
    refunded: bool = False


class BooksModel:
    """Everybody's credits, requests and API keys. Time is in seconds since `START`."""

    def __init__(self, *, welcome: int, lifetime_s: float) -> None:
        self.now = 0.0
        self.people: dict[str, Person] = {}
        self.asked: list[Asked] = []
        self.api_keys: list[Key] = []
        self.deleted: set[int] = set()
        self.works: list[Work] = []
        self.purchases: list[Purchase] = []
        self._welcome, self._lifetime_s = welcome, lifetime_s

    def register(self, name: str) -> None:
        """An account with welcome credits."""
        self.people[name] = Person()
        self.people[name].post("grant", self._welcome)

    @property
    def month(self) -> datetime:
        """The first moment of the month in which we are."""
        now = START + timedelta(seconds=self.now)
        return datetime(now.year, now.month, 1, tzinfo=UTC)

    def accept(
        self, owner: str, conversation: int, model: str, prompt: str, max_tokens: int, api_key: int | None
    ) -> Asked | str:
        """Hold the most it can cost; or the word of the error, if the wallet or the key cannot pay that."""
        person, held = self.people[owner], cost(model, len(prompt.split()), max_tokens)
        if held > person.posted - person.held:
            return "insufficient_credits"
        if api_key is not None and (cap := self.api_keys[api_key].cap) and self.used(api_key, self.month) + held > cap:
            return "cap_reached"
        person.held += held
        expires_at = self.now + self._lifetime_s
        self.asked.append(Asked(owner, conversation, model, prompt, held, expires_at, api_key, self.month))
        return self.asked[-1]

    def used(self, api_key: int, month: datetime) -> int:
        """What the requests that came with the key in that month were charged, or hold."""
        asked = (asked for asked in self.asked if asked.api_key == api_key and asked.month == month)
        return sum(each.held if each.outcome == "running" else each.charged for each in asked)

    def is_live(self, key: Key) -> bool:
        """Whether the key opens anything now."""
        return not key.revoked and (key.expires_at is None or self.now < key.expires_at)

    def come_with(self, key: Key) -> bool:
        """Whether the key opens; if so it was used, which is noted once a minute."""
        if self.is_live(key) and (key.used_at is None or self.now - key.used_at >= 60):
            key.used_at = self.now
        return self.is_live(key)

    def end(self, asked: Asked, outcome: str, delivered: list[str]) -> None:
        """Settle, once."""
        if asked.outcome != "running":
            return
        person = self.people[asked.owner]
        asked.outcome, asked.reply = outcome, "".join(delivered)
        person.held -= asked.held
        if outcome == "completed" or (outcome == "stopped" and delivered):
            asked.charged = cost(asked.model, len(asked.prompt.split()), len(delivered))
            person.post("charge", -asked.charged)
        asked.balance_after = person.posted

    def wait(self, seconds: float) -> int:
        """Let time pass and sweep; return how many requests were interrupted."""
        self.now += seconds
        due = [asked for asked in self.asked if asked.outcome == "running" and asked.expires_at <= self.now]
        for asked in due:
            self.end(asked, "interrupted", [])
        swept = [work for work in self.works if work.running and work.expires_at <= self.now]
        for work in swept:
            self.end_work(work, 0)
        return len(due) + len(swept)

    def begin_work(self, owner: str, most: int) -> Work | str:
        """Hold the most that the work can cost; or the word of the error."""
        person = self.people[owner]
        if most > person.posted - person.held:
            return "insufficient_credits"
        person.held += most
        self.works.append(Work(owner, most, self.now + self._lifetime_s))
        return self.works[-1]

    def end_work(self, work: Work, due: int) -> None:
        """Charge what is due and free the rest, once."""
        person = self.people[work.owner]
        work.running = False
        person.held -= work.held
        if due:
            person.post("charge", -due)

    def refund_payment(self, purchase: Purchase) -> None:
        """Take the credits of a payment back, once, even where they were spent."""
        if not purchase.refunded:
            purchase.refunded = True
            self.people[purchase.owner].post("adjustment", -purchase.credits)

    def is_running_in(self, conversation: int) -> bool:
        """Whether a reply is being written there."""
        return any(asked.outcome == "running" and asked.conversation == conversation for asked in self.asked)

    def history(self, owner: str) -> list[tuple[str, str, str, str, int, int | None]]:
        """What a person can see, newest first."""
        return [
            (asked.model, asked.prompt, asked.outcome, asked.reply, asked.charged, asked.balance_after)
            for asked in reversed(self.asked)
            if asked.owner == owner and asked.conversation not in self.deleted
        ]
