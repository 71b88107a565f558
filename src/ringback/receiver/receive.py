"""Callbacks in: verify, store raw and normalised in one commit, then answer.

Everything that reaches a known source is kept, refused requests too, with the reason. The sender is answered
200 only after the commit: one that was not told 200 sends again, and the second copy is flagged as such.

What waits for the database is bounded by count and by bytes. Beyond that the answer is 503, and nothing was stored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from ringback.metrics import Metrics
from ringback.model.errors import NotFound, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.receiver.event import Arrived, Event, Kind
from ringback.receiver.forward import Received, callbacks_for, targets_of
from ringback.receiver.source import PROVIDERS
from ringback.receiver.sources.port import Terms
from ringback.runtime import BacklogFullError, Batcher, Clock
from ringback.settings import SourceSettings
from ringback.store import callbacks, received, received_log
from ringback.store.accounts import AccountCache
from ringback.store.port import Store, Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.wakeups import Wakeups

_encode = msgspec.json.Encoder().encode

MAX_WAITING_BYTES: Final = 64_000_000
"""Bytes of requests, headers included, that may wait for the database at once: bounds the memory that a burst takes."""
MAX_MESSAGE_ID: Final = 64


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


class _Judged(msgspec.Struct, frozen=True):
    request: ReceivedRequest
    event: ReceivedEvent | None
    said: Event | None = None
    """All of it, where it is to be handed on."""


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
        self._targets = {name: found for name, source in sources.items() if (found := targets_of(name, source))}
        self._waiting_bytes = 0
        self._batcher: Batcher[_Judged, None] = Batcher(
            self._write, max_waiting=max_waiting, shared_errors=(StoreUnavailable,)
        )

    async def take(self, incoming: Incoming) -> str:
        """Store a request. Returns ``"accepted"``, ``"forbidden"`` (not verified) or ``"malformed"``.

        Raises ``NotFound`` for a source that is not configured, and ``TryLater`` when nothing was stored.
        """
        source = self._sources.get(incoming.source)
        if source is None:
            raise NotFound(f"no receiver source is called {incoming.source[:64]!r}; configure [sources.<name>]")
        headers = _encode(incoming.headers).decode()
        weight = len(incoming.body) + len(headers) + len(incoming.target)
        if self._waiting_bytes + weight > MAX_WAITING_BYTES:
            raise TryLater("too many bytes are waiting, send again in a moment")
        now_us = self._clock.now_us()
        tokens = await self._tokens(source, now_us) if source.account else source.tokens
        judged, answer = self._judge(incoming, headers, source, tokens, now_us)
        self._waiting_bytes += weight
        try:
            await self._batcher.submit(judged)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error
        finally:
            self._waiting_bytes -= weight
        return answer

    async def _tokens(self, source: SourceSettings, now_us: int) -> tuple[str, ...]:
        account = await self._accounts.get(source.account, now_us)
        return source.tokens if account is None else (*account.tokens, *account.main_tokens, *source.tokens)

    def _judge(
        self, incoming: Incoming, headers: str, source: SourceSettings, tokens: tuple[str, ...], now_us: int
    ) -> tuple[_Judged, str]:
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
        answer, word = "accepted", judgement.verified_by
        if judgement.objection:
            answer, word = "forbidden", judgement.objection
        else:
            event = provider.read(request)
            if event is None or not _can_be_kept(event):
                answer, word = "malformed", "malformed"
            else:
                said = _kept(event, request_id, incoming.source, now_us)
        stored = ReceivedRequest(
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
        return _Judged(stored, said, event if said is not None and incoming.source in self._targets else None), answer

    async def _write(self, judged: list[_Judged]) -> Sequence[None]:
        if await self._store.write(partial(self._put, judged=judged)):
            self._wakeups.signal("callbacks")
        self._wakeups.signal("received")
        for labels, count in Counter((item.request.source, item.request.verdict) for item in judged).items():
            self._metrics.received.add(*labels, count=count)
        return [None] * len(judged)

    def _put(self, tx: Transaction, *, judged: list[_Judged]) -> bool:
        """Store everything, and owe what is to be handed on; tells whether anything is."""
        said = [item.event for item in judged if item.event is not None]
        flagged = received.store(tx, [item.request for item in judged], said)
        whole = {item.request.id: item.said for item in judged if item.said is not None}
        handed_on = [
            Received(
                request_id=each.request_id,
                source=each.source,
                provider=self._sources[each.source].provider,
                received_at_us=each.received_at_us,
                flag=each.flag,
                event=event,
            )
            for each in flagged
            if (event := whole.get(each.request_id)) is not None
        ]
        owed = list(callbacks_for(handed_on, self._targets, new_id=self._new_id))
        callbacks.add(tx, [new for new, _ in owed])
        received_log.note_forwards(tx, owed)
        received_log.append(tx, flagged)
        callbacks.wake(tx, [new for new, _ in owed])
        return bool(owed)


def _can_be_kept(event: Event) -> bool:
    """Tell whether a database can hold what an event says in fields; as it came it is kept in any case."""
    texts = (
        event.message_id, event.their_status, event.from_number, event.to_number,
        event.error_code, event.mcc, event.mnc, event.total_amount,
    )  # fmt: skip
    return len(event.message_id) <= MAX_MESSAGE_ID and not any("\x00" in text for text in texts if text)


def _kept(event: Event, request_id: str, source: str, now_us: int) -> ReceivedEvent:
    return ReceivedEvent(
        request_id=request_id,
        source=source,
        received_at_us=now_us,
        message_uuid=event.message_id,
        status=event.their_status,
        sequence=event.sequence,
        from_number=event.from_number,
        to_number=event.to_number,
        error_code=event.error_code,
        mcc=event.mcc,
        mnc=event.mnc,
        units=event.units,
        total_amount=event.total_amount,
    )
