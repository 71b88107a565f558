"""Messages from phones: stored with what follows from them, before the carrier hears that they were taken.

The message, its ``received`` event, the callback owed to the application of its number, and what a keyword changes
and answers are one commit. A number that nobody owns is refused, counted and logged; one that is owned and has no
``message_url`` takes the message all the same.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog

from ringback.carriers.port import Inbound, InboundAnswer, NotTaken, Taken
from ringback.dialect import send
from ringback.dialect.callback_urls import canonical_callback_url
from ringback.dialect.inbound import inbound_params, storable
from ringback.dialect.keywords import HELP, OPT_IN, OPT_OUT, intent_of
from ringback.messaging.accept import Acceptor, Entry, Terms, store_entries
from ringback.messaging.progress import Progress
from ringback.metrics import Metrics
from ringback.model import numbers, segments
from ringback.model.errors import Refused, StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.message import INBOUND_REF, Message
from ringback.model.pricing import Tariff
from ringback.model.status import Status
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import MessagingSettings
from ringback.store import accounts, inbound_parts, messages, optouts, smpp_logins
from ringback.store.inbound_parts import Text
from ringback.store.optouts import Pair, Said
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.messaging.inbound")

TYPES: Final = ("sms", "mms")
MAX_MEDIA: Final = 10
PARTS_WAIT_US: Final = 300_000_000
"""For so long the parts of a text wait for each other; then what has come is taken for the whole."""


class NumberOwner(Protocol):
    """What is known of a number of ours: a row of the store."""

    @property
    def number(self) -> str:
        """Digits."""
        ...

    @property
    def account_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def message_url(self) -> str | None:
        """Where its application wants messages to go."""
        ...

    @property
    def message_method(self) -> str:
        """``POST`` or ``GET``."""
        ...

    @property
    def log_incoming_messages(self) -> bool:
        """Whether texts are kept and senders shown."""
        ...

    @property
    def retry_delays(self) -> str | None:
        """The retry plan that its application asks for, as stored."""
        ...

    @property
    def powerpack_uuid(self) -> str | None:
        """The powerpack that it is in."""
        ...

    @property
    def sms_enabled(self) -> bool:
        """Whether it takes text messages."""
        ...

    @property
    def mms_enabled(self) -> bool:
        """Whether it takes messages with media."""
        ...


FindOwner = Callable[[Transaction, str], NumberOwner | None]
"""Looks up whose a number is."""


class _Arrival(msgspec.Struct, frozen=True):
    inbound: Inbound
    at_us: int
    tariff: Tariff
    overdue: Text | None = None
    """A text of which what has come is taken, as the rest does not come any more."""

    @property
    def of_text(self) -> Text | None:
        """Which text it is a part of, or what has come of which."""
        inbound = self.inbound
        if self.overdue is not None or inbound.part is None:
            return self.overdue
        return Text(inbound.connector, inbound.src, inbound.dst, inbound.part.reference, inbound.part.total)

    @property
    def ref(self) -> str | None:
        """The carrier's name for the message, apart from those of messages that were sent through it."""
        return None if self.inbound.carrier_ref is None else INBOUND_REF + self.inbound.carrier_ref


class _Valid(msgspec.Struct, frozen=True, kw_only=True):
    """An arrival for a number that somebody owns."""

    arrival: _Arrival
    owned: NumberOwner
    src: str
    text: str
    intent: str

    @property
    def pair(self) -> Pair:
        return (self.owned.number, self.src)


class _Recorded(msgspec.Struct, frozen=True):
    answers: list[InboundAnswer]
    duplicates: int
    confirmed: list[Entry]


class InboundTaker:
    """Takes inbound messages from connectors."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        settings: MessagingSettings,
        find_owner: FindOwner,
        acceptor: Acceptor,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._find_owner = find_owner
        self._acceptor = acceptor
        self._metrics = metrics
        self._arrivals: Batcher[_Arrival, InboundAnswer] = Batcher(
            self._record, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    async def take(self, inbound: Inbound) -> InboundAnswer:
        """Store a message and what follows from it. Raises ``StoreUnavailable``: then nothing is decided."""
        tariff = await self._acceptor.tariff()
        return await self._arrivals.submit(_Arrival(inbound, self._clock.now_us(), tariff))

    def worker(self) -> WorkLoop[Text]:
        """Return the worker that takes texts of which parts do not come."""
        return WorkLoop(
            "parts",
            claim=self._overdue,
            work=self._take_what_came,
            hint=self._wakeups.listen("inbound_parts"),
            capacity=16,
            retry_on=StoreUnavailable,
        )

    async def _overdue(self, limit: int) -> tuple[Sequence[Text], float | None]:
        now_us = self._clock.now_us()
        due_at_us = await self._store.read(inbound_parts.next_due_at_us)
        if due_at_us is None or due_at_us > now_us:
            return [], None if due_at_us is None else (due_at_us - now_us) / 1_000_000
        return await self._store.read(lambda tx: inbound_parts.overdue(tx, now_us, limit)), 0

    async def _take_what_came(self, text: Text) -> None:
        tariff = await self._acceptor.tariff()
        inbound = Inbound(connector=text.connector, carrier_ref=None, src=text.src, dst=text.dst, text="")
        log.warning("inbound_parts_missing", connector=text.connector, to_number=numbers.masked(text.dst[:20]))
        arrival = _Arrival(inbound, self._clock.now_us(), tariff, text)
        await persist(lambda: self._arrivals.submit(arrival), retry_on=StoreUnavailable)

    async def _record(self, arrivals: list[_Arrival]) -> Sequence[InboundAnswer]:
        recorded = await self._store.write(partial(self._store_all, arrivals=arrivals))
        for arrival, answer in zip(arrivals, recorded.answers, strict=True):
            if isinstance(answer, NotTaken):
                # Neither text nor sender: nobody has said that they may be kept.
                inbound = arrival.inbound
                log.warning(
                    "inbound_refused",
                    connector=inbound.connector,
                    to_number=numbers.masked(inbound.dst[:20]),
                    reason=answer.reason,
                )
        refused = sum(isinstance(answer, NotTaken) for answer in recorded.answers)
        if parts := recorded.answers.count(Taken("")):
            self._metrics.inbound.add("part", count=parts)
            self._wakeups.signal("inbound_parts")
        self._metrics.inbound.add("refused", count=refused)
        self._metrics.inbound.add("duplicate", count=recorded.duplicates)
        self._metrics.inbound.add("taken", count=len(arrivals) - refused - recorded.duplicates - parts)
        self._acceptor.stored(recorded.confirmed)
        return recorded.answers

    def _store_all(self, tx: Transaction, *, arrivals: list[_Arrival]) -> _Recorded:
        inbound_parts.in_turn(tx, [text for each in arrivals if (text := each.of_text) is not None])
        known = _known(tx, arrivals)
        judged = [self._judge(tx, arrival) for arrival in arrivals]
        optouts.in_turn(tx, [each.pair for each in judged if isinstance(each, _Valid) and each.intent])
        takers = smpp_logins.taking_inbound(tx, {each.owned.account_id for each in judged if isinstance(each, _Valid)})
        progress = Progress(self._new_id)
        recorded = _Recorded([], 0, [])
        duplicates = 0
        for arrival, judgement in zip(arrivals, judged, strict=True):
            each = self._joined(tx, arrival, judgement)
            if each is None:
                recorded.answers.append(Taken(""))
                continue
            key = (arrival.inbound.connector, arrival.ref)
            if isinstance(each, NotTaken):
                recorded.answers.append(each)
            elif key in known:
                duplicates += 1
                recorded.answers.append(Taken(known[key]))
            else:
                message = self._receive(progress, each)
                if message.type == "sms":
                    progress.owe_inbound(message, each.text, takers.get(message.account_id, ()))
                recorded.answers.append(Taken(message.uuid))
                if arrival.ref is not None:
                    known[key] = message.uuid
                if each.intent:
                    recorded.confirmed.extend(self._heed(tx, message, each))
        store_entries(tx, progress, recorded.confirmed)
        progress.write(tx)
        return msgspec.structs.replace(recorded, duplicates=duplicates)

    def _joined(self, tx: Transaction, arrival: _Arrival, each: _Valid | NotTaken) -> _Valid | NotTaken | None:
        """Return the whole message when a part was its last one, ``None`` while others are awaited."""
        of_text, part = arrival.of_text, arrival.inbound.part
        if of_text is None or (isinstance(each, NotTaken) and part is not None):
            return each
        if part is None or isinstance(each, NotTaken):
            text = inbound_parts.take(tx, of_text)
        else:
            text = inbound_parts.add(tx, of_text, part.number, each.text, due_at_us=arrival.at_us + PARTS_WAIT_US)
        if text is None or isinstance(each, NotTaken):
            return None if text is None else each
        return msgspec.structs.replace(each, text=text)

    def _judge(self, tx: Transaction, arrival: _Arrival) -> _Valid | NotTaken:
        inbound = arrival.inbound
        src, dst = numbers.sender(inbound.src), numbers.sender(inbound.dst)
        if src is None:
            return NotTaken("the sender is neither a number nor a name of up to 11 letters and digits")
        if inbound.type not in TYPES:
            return NotTaken(f"type {inbound.type[:16]} is not taken; sms and mms are")
        if len(inbound.media_urls) > MAX_MEDIA:
            return NotTaken(f"it has {len(inbound.media_urls)} media; at most {MAX_MEDIA} are taken")
        owned = self._find_owner(tx, dst) if dst else None
        if owned is None:
            return NotTaken("the number belongs to no account")
        if not (owned.sms_enabled if inbound.type == "sms" else owned.mms_enabled):
            return NotTaken(f"the number is not enabled for {inbound.type}")
        text = storable(inbound.text)
        # What is longer than one message is no keyword, and of its parts nobody knows yet.
        is_whole = inbound.type == "sms" and arrival.of_text is None
        intent = intent_of(text) if is_whole else ""
        return _Valid(arrival=arrival, owned=owned, src=src, text=text, intent=intent)

    def _receive(self, progress: Progress, valid: _Valid) -> Message:
        owned, inbound, at_us = valid.owned, valid.arrival.inbound, valid.arrival.at_us
        country = numbers.country(owned.number)
        segmentation = segments.segment(valid.text, smart=False)
        message = Message(
            uuid=self._new_id(at_us),
            account_id=owned.account_id,
            direction="inbound",
            type=inbound.type,
            src=valid.src,
            dst=owned.number,
            text=valid.text if owned.log_incoming_messages else None,
            encoding=segmentation.encoding,
            units=segmentation.units if inbound.type == "sms" else 1,
            rate=valid.arrival.tariff.inbound(country, inbound.type),
            log="true" if owned.log_incoming_messages else "false",
            trackable=False,
            callback_url=canonical_callback_url(owned.message_url) if owned.message_url else None,
            callback_method=owned.message_method,
            callback_retry_delays=owned.retry_delays,
            requester_ip="",
            country=country,
            status=Status.RECEIVED.value,
            sequence=1,
            connector=inbound.connector,
            carrier_ref=valid.arrival.ref,
            queued_at_us=at_us,
            updated_at_us=at_us,
        )
        params = inbound_params(
            message,
            text=valid.text,
            intent=valid.intent,
            powerpack_uuid=owned.powerpack_uuid,
            media_urls=inbound.media_urls,
            first_media_index=self._settings.first_media_index,
        )
        progress.receive(message, params, detail=f"intent {valid.intent}" if valid.intent else None)
        return message

    def _heed(self, tx: Transaction, message: Message, valid: _Valid) -> list[Entry]:
        """Let a keyword stand, and answer it: nobody is told twice that they have opted out."""
        number, recipient = valid.pair
        had_opted_out = bool(optouts.among(tx, [valid.pair]))
        is_news = {OPT_OUT: not had_opted_out, OPT_IN: had_opted_out, HELP: True}[valid.intent]
        entry = self._confirmation(tx, message, valid) if is_news else None
        optouts.note(
            tx,
            Said(
                number=number,
                recipient=recipient,
                account_id=message.account_id,
                intent=valid.intent,
                said_by="recipient",
                message_uuid=message.uuid,
                confirmation_uuid=entry.uuids[0] if entry else None,
                at_us=message.queued_at_us,
            ),
        )
        return [entry] if entry else []

    def _confirmation(self, tx: Transaction, message: Message, valid: _Valid) -> Entry | None:
        intent = valid.intent
        account = accounts.find(tx, message.account_id, message.queued_at_us)
        by_default = {
            OPT_OUT: self._settings.optout_text, OPT_IN: self._settings.optin_text, HELP: self._settings.help_text,
        }[intent]  # fmt: skip
        text = optouts.texts(tx, message.account_id).get(intent, by_default)
        if account is None or not text:
            return None
        fields = {"src": message.dst, "dst": message.src, "text": text, "log": message.log}
        try:
            # Whoever writes to an account may be told what became of it, whomever else it may send to.
            terms = Terms(valid.arrival.tariff)
            return self._acceptor.prepare(account, send.parse(fields), requester_ip="", terms=terms)
        except Refused as error:
            # A short code or a name cannot be answered; what was said stands all the same.
            log.warning("keyword_not_answered", message_uuid=message.uuid, intent=intent, reason=str(error))
            return None


def _known(tx: Transaction, arrivals: Sequence[_Arrival]) -> dict[tuple[str, str | None], str]:
    """Return messages that were taken before, by connector and the carrier's name for them."""
    refs: dict[str, set[str]] = defaultdict(set)
    for arrival in arrivals:
        if arrival.ref is not None:
            refs[arrival.inbound.connector].add(arrival.ref)
    return {
        (connector, ref): message.uuid
        for connector in sorted(refs)
        for ref, message in messages.by_carrier_ref(tx, connector, sorted(refs[connector])).items()
    }
