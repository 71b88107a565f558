"""Callbacks in: verify, store raw and normalised in one commit, then answer.

Everything that reaches a known source is kept, refused requests too, with the reason. The sender is answered
200 only after the commit: one that was not told 200 sends again, and the second copy is flagged as such.

What waits for the database is bounded by count and by bytes. Beyond that the answer is 503, and nothing was stored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from ringback.metrics import Metrics
from ringback.model.errors import NotFound, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.receiver.event import Arrived, Event, Kind
from ringback.receiver.keep import Keeper, Kept, can_be_kept, kept_event
from ringback.receiver.source import PROVIDERS
from ringback.receiver.sources.port import Terms
from ringback.runtime import BacklogFullError, Batcher, Clock
from ringback.settings import SourceSettings
from ringback.store.accounts import AccountCache
from ringback.store.port import Store
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.wakeups import Wakeups

_encode = msgspec.json.Encoder().encode

MAX_WAITING_BYTES: Final = 64_000_000
"""Bytes of requests, headers included, that may wait for the database at once: bounds the memory that a burst takes."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a receiver address, as the HTTP layer saw it."""

    source: str
    method: str
    target: str
    """Path and query string as on the request line."""
    origin: str
    """Scheme, host and port as the client named them; used when no public URL is configured."""
    headers: Sequence[tuple[str, str]]
    body: bytes
    peer: str
    kind: Kind = "status"
    """What the address is for that it came to."""


class Stored(msgspec.Struct, frozen=True):
    """A request that is kept."""

    answer: Literal["accepted", "forbidden", "malformed"]
    event: Event | None = None
    """What it says, if it was accepted."""


class Receiver:
    """Takes in callbacks of configured sources: statuses, and inbound messages."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        accounts: AccountCache,
        wakeups: Wakeups,
        sources: Mapping[str, SourceSettings],
        public_base_url: str,
        max_waiting: int,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._accounts = accounts
        self._wakeups = wakeups
        self._sources = sources
        self._public_base_url = public_base_url
        self._metrics = metrics
        self._keeper = Keeper(sources, new_id)
        self._waiting_bytes = 0
        self._batcher: Batcher[Kept, None] = Batcher(
            self._write, max_waiting=max_waiting, shared_errors=(StoreUnavailable,)
        )

    async def take(self, incoming: Incoming) -> str:
        """Store a request. Returns ``"accepted"``, ``"forbidden"`` (not verified) or ``"malformed"``.

        Raises ``NotFound`` for a source that is not configured, and ``TryLater`` when nothing was stored.
        """
        source = self._sources.get(incoming.source)
        if source is None:
            raise NotFound(f"no receiver source is called {incoming.source[:64]!r}; configure [sources.<name>]")
        return (await self.take_from(source, incoming)).answer

    async def take_from(self, source: SourceSettings, incoming: Incoming) -> Stored:
        """Store a request of a source that is configured elsewhere. Raises ``TryLater`` when nothing was stored."""
        headers = _encode(incoming.headers).decode()
        weight = len(incoming.body) + len(headers) + len(incoming.target)
        if self._waiting_bytes + weight > MAX_WAITING_BYTES:
            raise TryLater("too many bytes are waiting, send again in a moment")
        now_us = self._clock.now_us()
        tokens = await self._tokens(source, now_us) if source.account else source.tokens
        judged, stored = self._judge(incoming, headers, source, tokens, now_us)
        self._waiting_bytes += weight
        try:
            await self._batcher.submit(judged)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error
        finally:
            self._waiting_bytes -= weight
        return stored

    async def _tokens(self, source: SourceSettings, now_us: int) -> tuple[str, ...]:
        account = await self._accounts.get(source.account, now_us)
        return source.tokens if account is None else (*account.tokens, *account.main_tokens, *source.tokens)

    def _judge(
        self, incoming: Incoming, headers: str, source: SourceSettings, tokens: tuple[str, ...], now_us: int
    ) -> tuple[Kept, Stored]:
        provider = PROVIDERS[source.provider]
        request = Arrived(
            method=incoming.method,
            target=incoming.target,
            headers=incoming.headers,
            body=incoming.body,
            kind=incoming.kind,
        )
        base = source.public_url or self._public_base_url or incoming.origin
        terms = Terms(require_v3=source.require_v3, tolerance_s=source.tolerance_s, now_us=now_us)
        judgement = provider.verify(request, (base.rstrip("/") + incoming.target,), tokens, terms)
        request_id = self._new_id(now_us)
        said: ReceivedEvent | None = None
        event: Event | None = None
        word: str = judgement.verified_by
        if judgement.objection:
            answer, word = Stored("forbidden"), judgement.objection
        else:
            event = provider.read(request)
            if event is None or not can_be_kept(event):
                answer, word = Stored("malformed"), "malformed"
            else:
                said, answer = kept_event(event, request_id, incoming.source, now_us), Stored("accepted", event)
        kept = ReceivedRequest(
            id=request_id,
            source=incoming.source,
            received_at_us=now_us,
            method=incoming.method,
            target=incoming.target,
            headers=headers,
            body=incoming.body,
            peer=incoming.peer,
            verdict=word,
            accepted=said is not None,
        )
        return Kept(kept, said, event if said is not None else None), answer

    async def _write(self, judged: list[Kept]) -> Sequence[None]:
        if await self._store.write(partial(self._keeper.put, kept=judged)):
            self._wakeups.signal("callbacks")
        self._wakeups.signal("received")
        for labels, count in Counter((item.request.source, item.request.verdict) for item in judged).items():
            self._metrics.received.add(*labels, count=count)
        return [None] * len(judged)
