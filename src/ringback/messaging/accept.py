"""Taking messages in: one request becomes one message per destination, all committed before the answer.

The message, its ``queued`` event, the callback it owes and the submission that is due are one commit.
"""

from collections.abc import Container, Mapping, Sequence
from functools import partial

import msgspec

from ringback.dialect.callback_urls import canonical_callback_url
from ringback.dialect.send import SendRequest
from ringback.messaging import mms
from ringback.messaging.geo import refuse_blocked
from ringback.messaging.pace import Pace, slots_of
from ringback.messaging.progress import Progress
from ringback.messaging.senders import Senders
from ringback.metrics import Metrics
from ringback.model import money, numbers, segments
from ringback.model.errors import InsufficientCredit, InvalidRequest, ShuttingDown, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.pricing import Tariff
from ringback.model.status import Status
from ringback.runtime import BacklogFullError, Batcher, Clock
from ringback.settings import MessagingSettings, RetentionSettings
from ringback.store import submissions
from ringback.store.accounts import Account
from ringback.store.cached import Cached
from ringback.store.callers import Reach
from ringback.store.limits import Limits, LimitsCache
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups

KEEPS_TEXT = frozenset({"true", "content_only"})


class Entry(msgspec.Struct, frozen=True):
    """A request's messages, made and not stored yet."""

    messages: list[Message]
    text: str
    expires_at_us: int
    is_prepaid: bool
    pace: Pace | None = None
    """``None`` where nothing limits how fast they may go."""
    load: mms.Load | None = None
    """What MMS carry; ``None`` for text messages."""

    @property
    def uuids(self) -> list[str]:
        """Name the messages in the order of the destinations."""
        return [message.uuid for message in self.messages]


class Terms(msgspec.Struct, frozen=True):
    """What messages cost, and whom they may go to; looked up before the transaction that stores them."""

    tariff: Tariff
    reach: Container[str] | None = None
    """The numbers that a developer account may send to; ``None`` for all."""
    limits: Limits = Limits()

    def check(self, account: Account, destinations: Sequence[str], now_us: int) -> None:
        """Raise where an account may not send to these destinations.

        Raises ``InvalidRequest``, ``InsufficientCredit``, or ``Forbidden`` for a country that is blocked.
        """
        refuse_blocked(self.limits, destinations)
        if account.refused_until_us is not None and account.refused_until_us > now_us:
            raise InsufficientCredit("Insufficient Credit: add to the account's credit, then send again")
        if self.reach is None:
            return
        for destination in destinations:
            if destination not in self.reach:
                raise InvalidRequest(
                    f"{destination} is not a sandbox number, and a developer account may send to those only: "
                    f"ringback sandbox add {account.parent_id or account.auth_id} {destination} makes it one"
                )


class Acceptor:
    """Accepts send requests."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        settings: MessagingSettings,
        tariff: Cached[Tariff],
        reach: Reach,
        max_waiting: int,
        metrics: Metrics,
        senders: Senders,
        limits: LimitsCache | None = None,
        retention: RetentionSettings = RetentionSettings(),  # noqa: B008 - a frozen value
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._tariff = tariff
        self._reach = reach
        self._metrics = metrics
        self._retention = retention
        self._senders = senders
        self._limits = limits
        self._draining = False
        self._batcher: Batcher[Entry, None] = Batcher(
            self._write,
            weight=lambda entry: len(entry.messages),
            max_waiting=max_waiting,
            shared_errors=(StoreUnavailable,),
        )

    def stop(self) -> None:
        """Refuse further requests; those that wait are still written."""
        self._draining = True

    async def accept(
        self, account: Account, request: SendRequest, *, requester_ip: str, reaches_anybody: bool = False
    ) -> list[str]:
        """Store a request's messages and return their uuids in the order of the destinations.

        ``reaches_anybody`` is for what Ringback itself has to say: an account of type developer may not send it.
        Raises ``InvalidRequest``, ``Forbidden`` for a country that is blocked, or ``TryLater`` when nothing could be
        stored.
        """
        if self._draining:
            raise ShuttingDown("shutting down, send again in a moment")
        terms = await self.terms(account, reaches_anybody=reaches_anybody)
        load: mms.Load | None = None
        if request.type == "mms":
            load = await mms.prepare(
                self._store,
                account.auth_id,
                request.src,
                request.media,
                now_us=self._clock.now_us(),
                new_id=self._new_id,
            )
        sources = await self._senders.sources(
            account, request, now_us=self._clock.now_us(), service="mms" if request.type == "mms" else "sms"
        )
        entry = self.prepare(account, request, requester_ip=requester_ip, terms=terms, load=load, sources=sources)
        try:
            await self._batcher.submit(entry)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error
        return entry.uuids

    async def examine(self, account: Account, request: SendRequest) -> Terms:
        """Say whether a text message could be taken now, without taking it; returns what it goes by.

        Raises as ``accept`` does.
        """
        if self._draining:
            raise ShuttingDown("shutting down, send again in a moment")
        terms, now_us = await self.terms(account), self._clock.now_us()
        terms.check(account, request.destinations, now_us)
        await self._senders.sources(account, request, now_us=now_us)
        return terms

    async def terms(self, account: Account, *, reaches_anybody: bool = False) -> Terms:
        """Return what an account's messages go by now. Raises ``StoreUnavailable``."""
        now_us = self._clock.now_us()
        is_held = account.account_type == "developer" and not reaches_anybody
        return Terms(
            await self._tariff.get(now_us),
            await self._reach.of(account, now_us) if is_held else None,
            await self._limits.get(account, now_us) if self._limits else Limits(),
        )

    async def tariff(self) -> Tariff:
        """Return the prices that hold now. Raises ``StoreUnavailable``."""
        return await self._tariff.get(self._clock.now_us())

    def prepare(
        self,
        account: Account,
        request: SendRequest,
        *,
        requester_ip: str,
        terms: Terms,
        load: mms.Load | None = None,
        sources: Sequence[str] | None = None,
    ) -> Entry:
        """Make the messages of a request, to be stored by ``store_entries``.

        Raises ``InvalidRequest``, or ``InsufficientCredit`` for an account that has just run out of it.

        ``sources`` are the senders of the destinations, ``None`` where all are ``request.src``.
        """
        segmentation = segments.segment(request.text, smart=self._settings.smart_characters)
        if complaint := segments.too_long(segmentation):
            raise InvalidRequest(complaint)
        now_us = self._clock.now_us()
        terms.check(account, request.destinations, now_us)
        template = Message(
            uuid="",
            account_id=account.auth_id,
            direction="outbound",
            type=request.type,
            src=request.src,
            dst="",
            text=segmentation.text if request.log in KEEPS_TEXT else None,
            encoding=segmentation.encoding,
            units=segmentation.units if load is None else 1,
            rate="",
            log=request.log,
            trackable=request.trackable,
            callback_url=canonical_callback_url(request.url) if request.url else None,
            callback_method=request.method,
            callback_retry_delays=request.retry_plan.stored() if request.retry_plan else None,
            requester_ip=requester_ip,
            country="",
            powerpack_uuid=request.powerpack_uuid,
            receipts_asked=request.receipts_asked,
            status=Status.QUEUED.value,
            sequence=1,
            queued_at_us=now_us,
            updated_at_us=now_us,
        )
        messages = [
            self._to(template, destination, src, terms.tariff)
            for destination, src in zip(
                request.destinations, sources or [request.src] * len(request.destinations), strict=True
            )
        ]
        expires_at_us = now_us + request.expiry_s * 1_000_000
        return Entry(
            messages, segmentation.text, expires_at_us, account.is_prepaid, Pace.of(terms.limits, template.type), load
        )

    def _to(self, template: Message, destination: str, src: str, tariff: Tariff) -> Message:
        country = numbers.country(destination)
        rate, carrier_fees_rate = tariff.outbound(country, template.type)
        return msgspec.structs.replace(
            template,
            uuid=self._new_id(template.queued_at_us),
            src=src,
            dst=destination,
            country=country,
            rate=rate,
            carrier_fees_rate=carrier_fees_rate,
        )

    def stored(self, entries: Sequence[Entry]) -> None:
        """Count what others have stored, and let it be found."""
        self._metrics.accepted.inc(sum(len(entry.messages) for entry in entries))
        if entries:
            self._wakeups.signal("submissions")
        if any(entry.load and entry.load.must_wait for entry in entries):
            self._wakeups.signal("media")
        self._wakeups.signal("callbacks")
        self._wakeups.signal("events")

    async def _write(self, entries: list[Entry]) -> Sequence[None]:
        await self._store.write(partial(_store, entries=entries, new_id=self._new_id, retention=self._retention))
        self.stored(entries)
        return [None] * len(entries)


def _store(tx: Transaction, *, entries: list[Entry], new_id: NewId, retention: RetentionSettings) -> None:
    progress = Progress(new_id)
    slots = _slots(tx, entries)
    for entry in entries:
        if entry.load is not None:
            mms.keep(tx, entry.load, entry.messages, slots, retention=retention, new_id=new_id)
    _store_with_slots(tx, progress, entries, slots)
    progress.write(tx)


def store_entries(tx: Transaction, progress: Progress, entries: Sequence[Entry]) -> None:
    """Store what was prepared, but for what ``progress`` gathers: the caller writes that, in the same transaction."""
    _store_with_slots(tx, progress, entries, _slots(tx, entries))


def _slots(tx: Transaction, entries: Sequence[Entry]) -> dict[str, int]:
    return slots_of(tx, [(entry.messages, entry.expires_at_us, entry.pace) for entry in entries])


def _store_with_slots(tx: Transaction, progress: Progress, entries: Sequence[Entry], slots: Mapping[str, int]) -> None:
    for entry in entries:
        for message in entry.messages:
            progress.accept(message)
    submissions.add(
        tx,
        [
            {
                "message_uuid": message.uuid,
                "account_id": message.account_id,
                "src": message.src,
                "dst": message.dst,
                "text": entry.text,
                "attempts_made": 0,
                "expires_at_us": entry.expires_at_us,
                "due_at_us": entry.expires_at_us
                # Whoever fetches its media makes it due sooner.
                if entry.load and entry.load.must_wait
                else slots.get(message.uuid, message.queued_at_us),
                "lease_token": None,
                "media": entry.load.stored() if entry.load else None,
                "price": price_of(message) if entry.is_prepaid else None,
            }
            for entry in entries
            for message in entry.messages
        ],
    )


def price_of(message: Message) -> int:
    """Return what a message costs its account in all (``model.money``): rate and carrier fees for each unit."""
    per_unit = money.of_rate(message.rate)
    if message.carrier_fees_rate is not None:
        per_unit += money.of_rate(message.carrier_fees_rate)
    return per_unit * message.units
