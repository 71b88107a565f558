"""Callbacks in: verify, store raw and normalised in one commit, then answer.

Everything that reaches a known source is kept, refused requests too, with the reason. The sender is answered
200 only after the commit: one that was not told 200 sends again, and the second copy is flagged as such.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ringback.dialect.callbacks import FORM, missing_params, read_status
from ringback.dialect.inbound import missing_inbound_params, read_inbound
from ringback.dialect.signatures import Verdict, verify
from ringback.metrics import Metrics
from ringback.model.errors import NotFound, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.runtime import BacklogFullError, Batcher, Clock
from ringback.settings import SourceSettings
from ringback.store import received
from ringback.store.accounts import AccountCache
from ringback.store.port import Store, Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.wakeups import Wakeups

_encode = msgspec.json.Encoder().encode

MAX_FIELDS = 200
"""A callback has about twenty parameters; a body with more than this is not one."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a receiver address, as the HTTP layer saw it."""

    source: str
    method: str
    target: str
    """Path and query string as on the request line."""
    origin: str
    """Scheme, host and port as the request names them; used when no public URL is configured."""
    headers: Sequence[tuple[str, str]]
    body: bytes
    peer: str
    brings_message: bool = False
    """Whether it came to the address for inbound messages, not to the one for statuses."""


class _Judged(msgspec.Struct, frozen=True):
    request: ReceivedRequest
    event: ReceivedEvent | None


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
        now_us = self._clock.now_us()
        tokens = await self._tokens(source, now_us)
        judged, answer = self._judge(incoming, source, tokens, now_us)
        try:
            await self._batcher.submit(judged)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error
        self._metrics.received.add(incoming.source, judged.request.verdict)
        return answer

    async def _tokens(self, source: SourceSettings, now_us: int) -> tuple[str, ...]:
        if not source.account:
            return source.tokens
        account = await self._accounts.get(source.account, now_us)
        return source.tokens if account is None else (*account.tokens, *account.main_tokens, *source.tokens)

    def _judge(
        self, incoming: Incoming, source: SourceSettings, tokens: tuple[str, ...], now_us: int
    ) -> tuple[_Judged, str]:
        headers = dict(incoming.headers)
        base = source.public_url or self._public_base_url or incoming.origin
        url = base.rstrip("/") + incoming.target
        params = _params(incoming, headers)
        verified_by, objection = _verdict(
            verify(incoming.method, [url], params or [], headers, tokens), headers, require_v3=source.require_v3
        )
        said: ReceivedEvent | None = None
        request_id = self._new_id(now_us)
        answer, word = "accepted", verified_by
        if objection:
            answer, word = "forbidden", objection
        elif params is None or _missing(given := dict(params), incoming):
            answer, word = "malformed", "malformed"
        else:
            report = read_inbound(given) if incoming.brings_message else read_status(given)
            said = ReceivedEvent(
                request_id=request_id,
                source=incoming.source,
                received_at_us=now_us,
                message_uuid=report.message_uuid,
                status=report.status,
                sequence=report.sequence,
                from_number=report.from_number,
                to_number=report.to_number,
                error_code=report.error_code,
                mcc=report.mcc,
                mnc=report.mnc,
                units=report.units,
                total_amount=report.total_amount,
            )
        request = ReceivedRequest(
            id=request_id,
            source=incoming.source,
            received_at_us=now_us,
            method=incoming.method,
            target=incoming.target,
            headers=_encode(incoming.headers).decode(),
            body=incoming.body,
            peer=incoming.peer,
            verdict=word,
            accepted=said is not None,
        )
        return _Judged(request, said), answer

    async def _write(self, judged: list[_Judged]) -> Sequence[None]:
        await self._store.write(partial(_store, judged=judged))
        self._wakeups.signal("received")
        return [None] * len(judged)


def _missing(given: Mapping[str, str], incoming: Incoming) -> list[str]:
    return missing_inbound_params(given) if incoming.brings_message else missing_params(given)


def _verdict(verdict: Verdict, headers: Mapping[str, str], *, require_v3: bool) -> tuple[str, str]:
    """Return what verified a request, and what speaks against it all the same; one of the two is empty.

    V2 covers neither body nor query. It is believed only from a sender that gives no V3 beside it: where V3 is
    there and does not fit, somebody may have changed the parameters under a V2 that still does.
    """
    if not verdict.ok:
        return "", verdict.reason or "mismatch"
    if verdict.scheme == "v2":
        if "x-plivo-signature-v3" in headers or "x-plivo-signature-ma-v3" in headers:
            return "", "mismatch"
        return ("", "v2_only") if require_v3 else ("v2", "")
    # Some SDKs sign only one value of a repeated name; the others could be anybody's.
    return ("v3", "") if verdict.complete else ("", "incomplete")


def _store(tx: Transaction, *, judged: list[_Judged]) -> None:
    received.store(tx, [item.request for item in judged], [item.event for item in judged if item.event is not None])


def _params(incoming: Incoming, headers: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Return the parameters of a callback, or ``None`` when the request carries none that can be read."""
    try:
        if incoming.method == "GET":
            return parse_qsl(
                urlsplit(incoming.target).query, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
            )
        if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return None
        return parse_qsl(incoming.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        return None
