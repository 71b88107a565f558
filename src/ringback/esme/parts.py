"""Parts of long texts that customers submit: kept on disk, each answered when it is there, sent as one message.

The first part gives the message its uuid; each part is answered with ``UUID-NUMBER``. The part that completes the text
makes the message, in the same transaction. A text whose other parts do not come within ``WAIT_US`` becomes a message
that has ``failed``, with receipts for the parts that came: what was acknowledged has an end that somebody is told of.
So has one whose part comes again with another text: a sender that uses a reference twice has given up the first text.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from ringback.carriers.port import Part
from ringback.dialect.send import EXPIRY_S, SendRequest
from ringback.esme.reading import Wanted, whole
from ringback.messaging.accept import Acceptor, Entry, Terms, store_entries
from ringback.messaging.progress import Change, Progress
from ringback.model import segments
from ringback.model.errors import InvalidRequest, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.model.receipts_asked import named
from ringback.model.status import Status
from ringback.runtime import BacklogFullError, Batcher, Clock, WorkLoop, persist
from ringback.store import accounts, smpp_logins, smpp_parts
from ringback.store.accounts import Account
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.smpp_logins import Login
from ringback.store.smpp_parts import Kept, Text
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.esme")

WAIT_US: Final = 300_000_000
EXPIRED: Final = "420"
_TOPIC: Final = "smpp_parts"


class _Arrival(msgspec.Struct, frozen=True):
    account: Account
    wanted: Wanted
    part: Part
    text: Text
    address: str
    terms: Terms
    at_us: int


class PartJoiner:
    """Takes parts."""

    def __init__(
        self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, acceptor: Acceptor, max_waiting: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._acceptor = acceptor
        self._arrivals: Batcher[_Arrival, str] = Batcher(
            self._write, max_weight=POLITE_BATCH, max_waiting=max_waiting, shared_errors=(StoreUnavailable,)
        )

    async def take(self, login: Login, account: Account, wanted: Wanted, part: Part, *, address: str) -> str:
        """Store a part, and the message when it was the last one; returns what the part is called.

        Raises as ``Acceptor.accept``: nothing of the part is stored then.
        """
        request = wanted.request
        if complaint := segments.too_long(segments.segment(request.text)):
            raise InvalidRequest(complaint)
        terms = await self._acceptor.examine(account, request)
        text = Text(login.id, request.src, request.destinations[0], part.reference, part.total)
        arrival = _Arrival(account, wanted, part, text, address, terms, self._clock.now_us())
        try:
            return await self._arrivals.submit(arrival)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error

    async def _write(self, arrivals: list[_Arrival]) -> Sequence[str]:
        names, entries = await self._store.write(partial(self._store_all, arrivals=arrivals))
        self._acceptor.stored(entries)
        self._wakeups.signal(_TOPIC)
        return names

    def _store_all(self, tx: Transaction, *, arrivals: list[_Arrival]) -> tuple[list[str], list[Entry]]:
        smpp_parts.in_turn(tx, [arrival.text for arrival in arrivals])
        progress = Progress(self._new_id)
        names, entries = [], []
        for arrival in arrivals:
            uuid, entry = self._join(tx, progress, arrival)
            names.append(named(uuid, arrival.part.number, arrival.part.total))
            if entry is not None:
                entries.append(entry)
        store_entries(tx, progress, entries)
        progress.write(tx)
        return names, entries

    def _join(self, tx: Transaction, progress: Progress, arrival: _Arrival) -> tuple[str, Entry | None]:
        """Keep a part; returns its message's uuid, and the message when it is whole."""
        number, request = arrival.part.number, arrival.wanted.request
        there = smpp_parts.of(tx, arrival.text)
        again = next((part for part in there if part.number == number), None)
        if again is not None and again.text == request.text:
            return again.message_uuid, None
        if again is not None:
            self._give_up(tx, progress, arrival.text, there, arrival.terms, arrival.at_us)
            there = []
        part = Kept(
            number=number,
            message_uuid=there[0].message_uuid if there else self._new_id(arrival.at_us),
            account_id=arrival.account.auth_id,
            text=request.text,
            registered_delivery=arrival.wanted.registered_delivery,
            came_at_us=arrival.at_us,
            due_at_us=arrival.at_us + WAIT_US,
        )
        if len(there) + 1 < arrival.part.total:
            smpp_parts.add(tx, arrival.text, part)
            return part.message_uuid, None
        parts = sorted([*there, part], key=lambda each: each.number)
        entry = self._acceptor.prepare(
            arrival.account,
            _joined(request, arrival.text.login_id, parts),
            requester_ip=arrival.address,
            terms=arrival.terms,
        )
        smpp_parts.forget(tx, arrival.text)
        return part.message_uuid, _as(entry, part.message_uuid)

    def _give_up(  # noqa: PLR0917 - what it takes to make a message, and the transaction
        self, tx: Transaction, progress: Progress, text: Text, there: Sequence[Kept], terms: Terms, now_us: int
    ) -> None:
        """Let what has come of a text become a message that has failed."""
        smpp_parts.forget(tx, text)
        account = accounts.find(tx, there[0].account_id, now_us)
        login = smpp_logins.by_id(tx, [text.login_id]).get(text.login_id)
        if account is None or login is None:
            # Nobody is left who could be told.
            return
        request = SendRequest(
            src=text.src, destinations=(text.dst,), invalid=(), text="", url=None, method="POST", retry_plan=None,
            log=login.log, trackable=False, expiry_s=EXPIRY_S[-1],
        )  # fmt: skip
        came = "".join(part.text for part in there)
        if segments.too_long(segments.segment(came)):
            came = there[0].text
        request = whole(request, text.login_id, came, _flags(there, text.total))
        # It is not sent: what it would cost, and whom it would go to, does not matter.
        entry = self._acceptor.prepare(
            msgspec.structs.replace(account, refused_until_us=None),
            request,
            requester_ip="",
            terms=Terms(terms.tariff),
        )
        (message,) = _as(entry, there[0].message_uuid).messages
        progress.accept(message)
        change = Change(
            status=Status.FAILED,
            at_us=now_us,
            error_code=EXPIRED,
            detail=f"only {len(there)} of its {text.total} parts came",
        )
        progress.change(message, change)

    def worker(self) -> WorkLoop[Text]:
        """Return the worker that gives up texts of which parts do not come."""
        return WorkLoop(
            "smpp parts",
            claim=self._overdue,
            work=self._end,
            hint=self._wakeups.listen(_TOPIC),
            capacity=16,
            retry_on=StoreUnavailable,
        )

    async def _overdue(self, limit: int) -> tuple[Sequence[Text], float | None]:
        now_us = self._clock.now_us()
        due_at_us = await self._store.read(smpp_parts.next_due_at_us)
        if due_at_us is None or due_at_us > now_us:
            return [], None if due_at_us is None else (due_at_us - now_us) / 1_000_000
        return await self._store.read(lambda tx: smpp_parts.overdue(tx, now_us, limit)), 0

    async def _end(self, text: Text) -> None:
        terms = Terms(await self._acceptor.tariff())

        def work(tx: Transaction) -> int:
            now_us = self._clock.now_us()
            smpp_parts.in_turn(tx, [text])
            there = smpp_parts.of(tx, text)
            if not there or min(part.due_at_us for part in there) > now_us:
                return 0
            progress = Progress(self._new_id)
            self._give_up(tx, progress, text, there, terms, now_us)
            progress.write(tx)
            return len(there)

        came = await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)
        if came:
            log.warning("smpp_parts_missing", login_id=text.login_id, came=came, total=text.total)
            for topic in ("callbacks", "events"):
                self._wakeups.signal(topic)


def _joined(request: SendRequest, login_id: str, parts: Sequence[Kept]) -> SendRequest:
    text = "".join(part.text for part in parts)
    return whole(request, login_id, text, tuple(part.registered_delivery for part in parts))


def _flags(there: Sequence[Kept], total: int) -> tuple[int, ...]:
    asked = {part.number: part.registered_delivery for part in there}
    return tuple(asked.get(number, 0) for number in range(1, total + 1))


def _as(entry: Entry, uuid: str) -> Entry:
    (message,) = entry.messages
    return msgspec.structs.replace(entry, messages=[msgspec.structs.replace(message, uuid=uuid)])
