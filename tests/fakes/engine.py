"""The callback engine without HTTP: a test says when it is and how each attempt ends."""

from collections.abc import Collection, Sequence
from functools import partial

import msgspec

from ringback.delivery.claim import Claimed, Terms, claim
from ringback.delivery.deliver import decide
from ringback.delivery.settle import Result, settle
from ringback.delivery.share import Places
from ringback.model.circuit import Finding
from ringback.model.ids import uuid7
from ringback.model.retry import PLIVO
from ringback.store import callbacks, endpoints
from ringback.store.callbacks import Attempt, NewCallback
from ringback.store.endpoints import Endpoint, Lane
from ringback.store.port import Store
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
ORIGIN = "https://one.example"
LEASE_S = 30
PARK_AFTER = 3

_OUTCOMES = {Finding.UP: ("ok", 200), Finding.ANSWERS: ("http_status", 404), Finding.GONE: ("http_status", 410)}


def new_callback(
    number: int, *, sequence: int, now_us: int, origin: str = ORIGIN, account: str = ACCOUNT
) -> NewCallback:
    """Make a callback for a message number that becomes owed now."""
    return NewCallback(
        id=uuid7(now_us, (number * 10 + sequence).to_bytes(8, "big")),
        account_id=account,
        message_uuid=f"019ab000-0000-7000-8000-{number:012d}",
        sequence=sequence,
        url=f"{origin}/status",
        method="POST",
        endpoint=origin,
        params='[["Status", "sent"]]',
        created_at_us=now_us,
    )


class Engine:
    """One worker's view of the queue; several may share a store and a clock."""

    def __init__(self, store: Store, clock: FakeClock, *, keep_parked: bool = False, window: int = 64) -> None:
        self.store = store
        self.clock = clock
        self.places = Places(capacity=512, endpoint_limit=window)
        self.keep_parked = keep_parked
        self._new_id = counting_ids()

    async def owe(self, *numbers: int, sequence: int = 1, origin: str = ORIGIN, account: str = ACCOUNT) -> list[str]:
        """Let a callback become owed now for each message number; gives their ids."""
        now_us = self.clock.now_us()
        new = [
            new_callback(number, sequence=sequence, now_us=now_us, origin=origin, account=account) for number in numbers
        ]
        await self.store.write(partial(callbacks.owe, new=new))
        return [callback.id for callback in new]

    async def claim(self, limit: int = 100, lanes: Collection[Lane] = tuple(Lane)) -> list[Claimed]:
        """Lease what is due."""
        now_us = self.clock.now_us()
        terms = Terms(
            now_us=now_us,
            lease_until_us=now_us + LEASE_S * 1_000_000,
            lease_token=self._new_id(now_us),
            plan=PLIVO,
            keep_parked=self.keep_parked,
        )
        taken = await self.store.write(lambda tx: claim(tx, self.places, terms, limit=limit, lanes=lanes))
        claimed = taken.claimed
        for each in claimed:
            self.places.start(each.endpoint, each.lane, now_us)
        return claimed

    async def end(self, claimed: Sequence[Claimed], finding: Finding = Finding.UP, *, retry_after_s: int = 0) -> None:
        """Record the same ending for attempts."""
        now_us = self.clock.now_us()
        outcome, status = _OUTCOMES.get(finding, ("timeout", None))
        results = []
        for each in claimed:
            self.places.end(each.endpoint, each.lane, finding)
            attempt = Attempt(
                callback_id=each.callback.id,
                number=each.callback.attempts_made + 1,
                planned_at_us=each.callback.planned_at_us,
                started_at_us=now_us,
                duration_us=1_000,
                outcome=outcome,
                http_status=status,
                request_headers="[]",
                response_headers="[]",
                response_body=b"",
                error=None,
            )
            decided = decide(each.callback, attempt, PLIVO, now_us=now_us)
            results.append(Result(decided, finding, retry_after_s * 1_000_000))
        await self.store.write(partial(settle, results=results, park_after=PARK_AFTER))

    async def deliver(self) -> None:
        """Let everything that is due be delivered."""
        while claimed := await self.claim():
            await self.end(claimed)

    async def give_up(self) -> None:
        """Let everything that is owed fail to the end, however long that takes."""
        while await self.waiting():
            while claimed := await self.claim():
                await self.end(claimed, Finding.ANSWERS)
            self.clock.advance(240)

    async def endpoint(self, origin: str = ORIGIN, account: str = ACCOUNT) -> Endpoint:
        """Read an endpoint."""
        id_ = endpoints.key(account, origin)
        return (await self.store.read(lambda tx: endpoints.by_id(tx, [id_])))[id_]

    async def states(self) -> dict[str, str]:
        """Read every callback's state by its id."""
        numbers = [f"019ab000-0000-7000-8000-{number:012d}" for number in range(3000)]
        found = await self.store.read(lambda tx: callbacks.owed_for(tx, numbers))
        return {callback.id: callback.state for callback in found}

    async def waiting(self) -> int:
        """Count callbacks in the queue."""
        return await self.store.read(callbacks.waiting)


def ids(claimed: Sequence[Claimed]) -> list[str]:
    """Name callbacks."""
    return [each.callback.id for each in claimed]


def by_origin(claimed: Sequence[Claimed]) -> dict[str, int]:
    """Count callbacks by endpoint."""
    counts: dict[str, int] = {}
    for each in claimed:
        counts[each.callback.endpoint] = counts.get(each.callback.endpoint, 0) + 1
    return counts


def with_token(claimed: Sequence[Claimed], token: str) -> list[Claimed]:
    """Pretend that callbacks are held under another lease."""
    return [
        msgspec.structs.replace(each, callback=msgspec.structs.replace(each.callback, lease_token=token))
        for each in claimed
    ]
