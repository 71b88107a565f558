"""What ``ringback listen`` does, apart from showing it: follows a bin, reads each capture and sends it on.

Captures are read from the database, so none is missed whoever serves the bin, and a break of the server costs nothing
but the time. Those of one message go on one after the other, as their sender sent them; those of different messages at
the same time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from ringback.inspector.exports import target_of, utc
from ringback.inspector.forward import Forwarded, Forwarder, onward
from ringback.model.errors import InvalidRequest, StoreUnavailable
from ringback.receiver.event import Event
from ringback.store import captures
from ringback.store.captures import Capture
from ringback.store.port import Store
from ringback.store.wakeups import Listener
from ringback.web.signed import FITS, Keys, said_by, verdict

LOOK_S: Final = 0.1
"""How long a capture that another process has taken may go unseen."""
AT_ONCE: Final = 16
"""Requests that are sent on at a time."""
MOST_READ: Final = 50
MOST_WAITING: Final = 200
"""Captures that wait to be sent on; further ones stay in the bin until there is room."""

FILTERS: Final = ("method", "path", "kind", "status", "uuid", "from", "to", "error", "verdict", "answer")
BEFORE_SENDING: Final = FILTERS[:-1]
"""What is known of a capture before it is sent on."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A capture, what it says, and what came of sending it on."""

    capture: Capture
    rest: str
    """Its target after the bin's name."""
    said: Event | None
    verdict: str | None
    """``None`` where there is no token to verify with."""
    sent: Forwarded | None = None
    """``None`` until it is answered, and where nothing is sent on."""

    def values(self, name: str) -> str:
        """Return what a filter of this name looks at."""
        said, sent = self.said, self.sent
        found = {
            "method": self.capture.method,
            "path": self.rest,
            "verdict": self.verdict or "",
            "answer": "" if sent is None else str(sent.status or "error"),
        }
        if said is not None:
            found |= {
                "kind": said.kind,
                "status": said.their_status,
                "uuid": said.message_id,
                "from": said.from_number,
                "to": said.to_number,
                "error": said.error_code or "",
            }
        return found.get(name, "")

    def record(self) -> dict[str, Any]:
        """Return it as a line of NDJSON."""
        item, said, sent = self.capture, self.said, self.sent
        forward = None
        if sent is not None:
            forward = {
                "status": sent.status,
                "error": sent.error,
                "duration_ms": round(sent.duration_us / 1000, 1),
            }
        return {
            "type": "capture",
            "number": item.number,
            "received_time": utc(item.received_at_us),
            "method": item.method,
            "target": self.rest,
            "body_bytes": item.body_size,
            "cut": item.cut or None,
            "attempt": item.attempt,
            "answered_status": item.answered_status,
            "kind": said and said.kind,
            "message_uuid": said and said.message_id,
            "status": said and said.their_status,
            "error_code": said and said.error_code,
            "from": said and said.from_number,
            "to": said and said.to_number,
            "verdict": self.verdict,
            "forward": forward,
        }


class Filter(msgspec.Struct, frozen=True):
    """Conditions that all have to hold: ``name=value``, or a text that target, headers or body have in them."""

    terms: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()

    @classmethod
    def read(cls, words: Sequence[str], names: Sequence[str] = FILTERS) -> "Filter":
        """Read conditions on these names. Raises ``InvalidRequest``."""
        terms, texts = [], []
        for word in words:
            name, equals, value = word.partition("=")
            if equals and name.lower() in names:
                terms.append((name.lower(), value.lower()))
            elif equals and name.isalpha():
                raise InvalidRequest(f"there is no filter {name!r}: choose of {', '.join(names)}, or give a text")
            elif word:
                texts.append(word)
        return cls(tuple(terms), tuple(texts))

    def takes(self, heard: Heard) -> bool:
        """Say whether a capture is wanted; of a path the beginning is enough, of an id any part."""
        for name, wanted in self.terms:
            value = heard.values(name).lower()
            fits = {"path": value.startswith(wanted), "uuid": wanted in value}.get(name, value == wanted)
            if not fits:
                return False
        return all(_mentions(heard.capture, text) for text in self.texts)


def _mentions(item: Capture, text: str) -> bool:
    wire = text.encode("utf-8", "replace")
    return wire in item.body or wire.decode("latin-1") in f"{target_of(item)}\n{item.headers}"


class Tally(msgspec.Struct):
    """Counts for the end."""

    captured: int = 0
    left_out: int = 0
    """Those that no filter takes."""
    verified: int = 0
    refused: int = 0
    """Those that the tokens at hand do not verify."""
    sent_on: int = 0
    answered_2xx: int = 0
    answered_otherwise: int = 0
    unanswered: int = 0


class Following:
    """Follows one bin."""

    def __init__(
        self,
        store: Store,
        hint: Listener,
        *,
        bin_id: str,
        keys: Keys,
        forwarder: Forwarder | None,
        url: str,
        wanted: Filter,
        tell: Callable[[Heard], None],
    ) -> None:
        self._store = store
        self._hint = hint
        self._bin_id = bin_id
        self._keys = keys
        self._forwarder = forwarder
        self._url = url
        self._wanted = wanted
        self._tell = tell
        self._places = asyncio.Semaphore(AT_ONCE)
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.tally = Tally()

    async def run(self, after: int) -> None:
        """Take what comes after the capture of a number, until cancelled; what is on its way then is let go."""
        try:
            async for item in self._captures(after):
                heard = self._read(item)
                self.tally.captured += 1
                if not self._wanted.takes(heard):
                    self.tally.left_out += 1
                    continue
                self._count_verdict(heard)
                self._tell(heard)
                if self._forwarder is not None:
                    self.send_on(heard)
                while len(self._tasks) >= MOST_WAITING:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def send_on(self, heard: Heard) -> None:
        """Send a capture on, after what is on its way of the same message."""
        key = heard.said.message_id if heard.said is not None else f"capture {heard.capture.number}"
        task = asyncio.create_task(self._send_on(heard, self._last.get(key)))
        self._last[key] = task
        self._tasks.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            if self._last.get(key) is ended:
                del self._last[key]

        task.add_done_callback(done)

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _captures(self, after: int) -> AsyncIterator[Capture]:
        while True:
            try:
                look = partial(captures.whole_after, bin_id=self._bin_id, number=after, limit=MOST_READ)
                found = await self._store.read(look)
            except StoreUnavailable:
                found = []
            for item in found:
                after = item.number
                yield item
            if not found:
                await self._hint.wait(LOOK_S)

    def _read(self, item: Capture) -> Heard:
        return Heard(
            capture=item,
            rest=rest_of(item),
            said=said_by(item),
            verdict=verdict(item, self._keys) if self._keys.tokens else None,
        )

    def _count_verdict(self, heard: Heard) -> None:
        if heard.verdict in FITS:
            self.tally.verified += 1
        elif heard.verdict is not None:
            self.tally.refused += 1

    async def _send_on(self, heard: Heard, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self._forwarder is None:
            return
        async with self._places:
            sent = await self._forwarder.send(onward(heard.capture, self._url))
        self.tally.sent_on += 1
        if sent.status is None:
            self.tally.unanswered += 1
        elif 200 <= sent.status < 300:
            self.tally.answered_2xx += 1
        else:
            self.tally.answered_otherwise += 1
        self._tell(msgspec.structs.replace(heard, sent=sent))


def rest_of(item: Capture) -> str:
    """Return what follows the bin's name in a capture's target."""
    rest = item.path.split("/", 3)[3:]
    return (f"/{rest[0]}" if rest else "/") + (f"?{item.query}" if item.query else "")
