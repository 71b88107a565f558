"""Who may use the attempts in flight: the fairness between lanes, accounts and endpoints (design promise 5).

**Lanes.** First attempts at endpoints that are up may use every place. First attempts at endpoints that are new, first
attempts at those that were down last, and retries may use a quarter each: a quarter is always left for those that work,
and what hangs does not hold up what is new. The two lanes of endpoints that nobody has seen work begin 100 attempts a
second each, 16 at once.

**Windows.** An endpoint may have as many attempts in flight as its window: four at first, one more after each
success up to its limit, half after each failure. So an endpoint that hangs never holds many places, and one that
comes back is not run over.

**Turns.** Free places are dealt one at a time to one account after the other, and within an account to one endpoint
after the other: deficit round robin with a callback as the unit. Those that have waited longest come first.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.model.circuit import Finding
from ringback.store.endpoints import Endpoint, Lane

FIRST_WINDOW: Final = 4
LANE_SHARE: Final = {Lane.FIRST: 1.0, Lane.NEW: 0.25, Lane.DOUBTFUL: 0.25, Lane.RETRY: 0.25}
PACED: Final = (Lane.NEW, Lane.DOUBTFUL)
"""Lanes of endpoints that may well hang: many at once, each with a connection to open, would hold others up."""
PACE_PER_S: Final = 100
PACE_BURST: Final = 16
RETRY_STEP: Final = 32
"""Retries that go out at once, so that what is due for the first time goes between."""
MAX_KNOWN: Final = 10_000
"""Endpoints whose window is remembered; one that is forgotten begins anew."""


class Candidate(msgspec.Struct, frozen=True):
    """An endpoint with something due in a lane."""

    endpoint_id: str
    account_id: str
    lane: Lane
    room: int
    """How many more attempts the endpoint may have in flight, in all lanes together."""


def allot(candidates: Sequence[Candidate], *, free: int, lane_room: dict[Lane, int]) -> list[int]:
    """Deal ``free`` places to candidates; returns how many each one gets."""
    given = [0] * len(candidates)
    room = {candidate.endpoint_id: candidate.room for candidate in candidates}
    left = dict(lane_room)
    accounts: OrderedDict[str, deque[int]] = OrderedDict()
    for at, candidate in enumerate(candidates):
        accounts.setdefault(candidate.account_id, deque()).append(at)
    while free > 0 and accounts:
        account_id, waiting = accounts.popitem(last=False)
        at = waiting.popleft()
        candidate = candidates[at]
        if room[candidate.endpoint_id] > 0 and left[candidate.lane] > 0:
            given[at] += 1
            free -= 1
            room[candidate.endpoint_id] -= 1
            left[candidate.lane] -= 1
            waiting.append(at)
        if waiting:
            accounts[account_id] = waiting
    return given


class Places:
    """The attempts in flight of one process."""

    def __init__(self, *, capacity: int, endpoint_limit: int) -> None:
        self._capacity = capacity
        self._endpoint_limit = endpoint_limit
        self._by_lane: Counter[Lane] = Counter()
        self._by_endpoint: Counter[str] = Counter()
        self._windows: OrderedDict[str, int] = OrderedDict()
        self._paid_until_us: dict[str, int] = {}
        self._paced_until_us = dict.fromkeys(PACED, 0)

    def lane_room(self, now_us: int) -> dict[Lane, int]:
        """Return how many more attempts each lane may begin now."""
        room = {lane: max(int(self._capacity * share) - self._by_lane[lane], 0) for lane, share in LANE_SHARE.items()}
        room[Lane.RETRY] = min(room[Lane.RETRY], RETRY_STEP)
        for lane, until_us in self._paced_until_us.items():
            ahead = max(until_us - now_us, 0) * PACE_PER_S // 1_000_000
            room[lane] = min(room[lane], max(PACE_BURST - ahead, 0))
        return room

    def room(self, endpoint: Endpoint, now_us: int) -> int:
        """Return how many more attempts an endpoint may have in flight now."""
        limit = endpoint.concurrency or self._endpoint_limit
        window = min(self._windows.get(endpoint.id, FIRST_WINDOW), limit)
        room = max(window - self._by_endpoint[endpoint.id], 0)
        if endpoint.rate_per_minute:
            # A second's worth may go at once; what went is paid for by waiting.
            behind_us = max(self._paid_until_us.get(endpoint.id, 0) - now_us, 0)
            burst = max(endpoint.rate_per_minute // 60, 1)
            room = min(room, burst - behind_us * endpoint.rate_per_minute // 60_000_000)
        return max(room, 0)

    def wait_us(self, endpoint: Endpoint, now_us: int) -> int:
        """Return after what time a rate limit lets the next attempt go, 0 when there is none."""
        if not endpoint.rate_per_minute:
            return 0
        return max(self._paid_until_us.get(endpoint.id, 0) - now_us, 0)

    def start(self, endpoint: Endpoint, lane: Lane, now_us: int) -> None:
        """Take a place."""
        self._by_lane[lane] += 1
        self._by_endpoint[endpoint.id] += 1
        if lane in self._paced_until_us:
            self._paced_until_us[lane] = max(self._paced_until_us[lane], now_us) + 1_000_000 // PACE_PER_S
        if endpoint.rate_per_minute:
            paid_until_us = max(self._paid_until_us.get(endpoint.id, 0), now_us)
            self._paid_until_us[endpoint.id] = paid_until_us + 60_000_000 // endpoint.rate_per_minute

    def end(self, endpoint: Endpoint, lane: Lane, finding: Finding | None) -> None:
        """Give a place back; ``None`` when the attempt was cut off and nothing was found."""
        self._by_lane[lane] -= 1
        self._by_endpoint[endpoint.id] -= 1
        if not self._by_endpoint[endpoint.id]:
            del self._by_endpoint[endpoint.id]
        if finding is None:
            return
        window = self._windows.pop(endpoint.id, FIRST_WINDOW)
        limit = endpoint.concurrency or self._endpoint_limit
        self._windows[endpoint.id] = max(window // 2, 1) if finding is Finding.DOWN else min(window + 1, limit)
        if len(self._windows) > MAX_KNOWN:
            forgotten, _ = self._windows.popitem(last=False)
            self._paid_until_us.pop(forgotten, None)
