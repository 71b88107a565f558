"""Taking what is due: which endpoints' turn it is, and what has become of callbacks that their parking held back."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ringback.delivery.share import Candidate, Places, allot
from ringback.model.circuit import CircuitState, probing
from ringback.model.retry import RetryPlan, most_specific
from ringback.store import accounts, callbacks, endpoints
from ringback.store.callbacks import Attempt, DueCallback, Leased, Outcome, Wanted
from ringback.store.endpoints import Endpoint, Lane
from ringback.store.port import Transaction

LOOK_AT: Final = 256
"""Endpoints of a lane that one claim looks at."""
SWEEP: Final = 256
"""Callbacks of a parked endpoint that one claim sees after."""


class Claimed(msgspec.Struct, frozen=True):
    """A callback to be attempted, the endpoint as it stood, and the lane whose place the attempt takes."""

    callback: DueCallback
    endpoint: Endpoint
    lane: Lane


class Taken(msgspec.Struct, frozen=True):
    """What a claim gave."""

    claimed: list[Claimed]
    given_up: int
    """Callbacks whose attempts their endpoint's parking has used up."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim is made under."""

    now_us: int
    lease_until_us: int
    lease_token: str
    plan: RetryPlan
    keep_parked: bool
    """Whether attempts that were not made because the endpoint was parked are still to be made."""


class Plans:
    """Which plan holds for a callback that parking held back; accounts are read only where their word counts."""

    def __init__(self, tx: Transaction, default: RetryPlan) -> None:
        self._tx = tx
        self._default = default
        self._of_accounts: dict[str, str | None] = {}

    def of(self, callback: DueCallback, endpoint: Endpoint) -> RetryPlan:
        """Return the plan of a callback to an endpoint."""
        if callback.retry_delays is not None or endpoint.retry_delays is not None:
            return most_specific(callback.retry_delays, endpoint.retry_delays, default=self._default)
        account_id = callback.account_id
        if account_id not in self._of_accounts:
            self._of_accounts[account_id] = accounts.retry_delays(self._tx, account_id)
        return most_specific(self._of_accounts[account_id], default=self._default)


def claim(tx: Transaction, places: Places, terms: Terms, *, limit: int, lanes: Collection[Lane] = tuple(Lane)) -> Taken:
    """Lease up to ``limit`` callbacks that are due in ``lanes``, and note when each endpoint is worth the next look."""
    lane_room = {lane: room for lane, room in places.lane_room(terms.now_us).items() if lane in lanes}
    found: dict[str, Endpoint] = {}
    seen: dict[str, Endpoint] = {}
    candidates: list[Candidate] = []
    claimed: list[Claimed] = []
    moved: list[Outcome] = []
    plans = Plans(tx, terms.plan)
    for lane, endpoint in _ready(tx, lane_room, terms):
        if endpoint.circuit.state is CircuitState.CLOSED:
            seen[endpoint.id] = found.setdefault(endpoint.id, endpoint)
            candidates.append(Candidate(endpoint.id, endpoint.account_id, lane, places.room(endpoint, terms.now_us)))
        elif endpoint.id not in seen:
            probes, used_up = _probe(tx, endpoint, lane, terms, plans)
            claimed += probes
            moved += used_up
    allotted = allot(candidates, free=max(limit - len(claimed), 0), lane_room=lane_room)
    # Those that get nothing although they have room stay as they are: it is their turn next.
    turns = [
        (candidate, count) for candidate, count in zip(candidates, allotted, strict=True) if count or not candidate.room
    ]
    wanted = [Wanted(candidate.endpoint_id, candidate.lane is Lane.RETRY, count) for candidate, count in turns]
    leased = callbacks.lease(
        tx, wanted, now_us=terms.now_us, lease_until_us=terms.lease_until_us, lease_token=terms.lease_token
    )
    held_back: list[Outcome] = []
    for (candidate, count), queue in zip(turns, leased, strict=True):
        endpoint = seen[candidate.endpoint_id]
        due, not_now = _after_parking(queue.callbacks, endpoint, terms, plans)
        held_back += not_now
        claimed += [Claimed(callback, endpoint, candidate.lane) for callback in due]
        seen[endpoint.id] = _looked_at(endpoint, candidate, count, queue, places=places, terms=terms)
    moved += callbacks.record(tx, held_back)
    for id_ in {outcome.callback.endpoint_id for outcome in held_back}:
        # They are due at other times now, and may have let later callbacks of their messages go.
        seen[id_] = msgspec.structs.replace(seen[id_], first_ready_at_us=terms.now_us, retry_ready_at_us=terms.now_us)
    endpoints.save(tx, [each for id_, each in seen.items() if each is not found[id_]])
    return Taken(claimed, sum(each.state == "given_up" for each in moved))


def _ready(tx: Transaction, lane_room: dict[Lane, int], terms: Terms) -> list[tuple[Lane, Endpoint]]:
    looks = {lane: min(room * 2, LOOK_AT) for lane, room in lane_room.items() if room > 0}
    if found := endpoints.ready(tx, looks, now_us=terms.now_us):
        return found
    # An endpoint that is owed callbacks all the time may be written to whenever somebody looks.
    return endpoints.ready(tx, dict.fromkeys(looks, 1), now_us=terms.now_us, wait=True)[:1]


def _looked_at(
    endpoint: Endpoint, candidate: Candidate, count: int, queue: Leased, *, places: Places, terms: Terms
) -> Endpoint:
    """Note when the queue is worth the next look."""
    ready_at_us = queue.next_due_at_us
    is_full = endpoint.is_full
    if ready_at_us is not None and ready_at_us <= terms.now_us:
        # Something due was left behind: for lack of places it is somebody else's turn, for lack of room in the
        # window an attempt has to end first.
        ready_at_us = terms.now_us
        if len(queue.callbacks) == count and count >= candidate.room:
            if wait_us := places.wait_us(endpoint, terms.now_us):
                ready_at_us = terms.now_us + wait_us
            else:
                is_full, ready_at_us = True, terms.lease_until_us
    changed = {"retry_ready_at_us" if candidate.lane is Lane.RETRY else "first_ready_at_us": ready_at_us}
    return msgspec.structs.replace(endpoint, **changed, is_full=is_full, looked_at_us=terms.now_us)


def _after_parking(
    due: Sequence[DueCallback], endpoint: Endpoint, terms: Terms, plans: Plans
) -> tuple[list[DueCallback], list[Outcome]]:
    """Tell callbacks to be attempted now from those that their endpoint's parking has moved on or used up."""
    parked_at_us, reopened_at_us = endpoint.circuit.parked_at_us, endpoint.circuit.reopened_at_us
    if parked_at_us is None or reopened_at_us is None or _keeps(endpoint, terms):
        return list(due), []
    now, moved = [], []
    for callback in due:
        if not parked_at_us <= callback.planned_at_us < reopened_at_us:
            now.append(callback)
            continue
        made, planned_at_us = plans.of(callback, endpoint).skip_missed(
            callback.attempts_made, callback.planned_at_us, reopened_at_us
        )
        if planned_at_us is not None and planned_at_us <= terms.now_us:
            now.append(msgspec.structs.replace(callback, attempts_made=made, planned_at_us=planned_at_us))
        else:
            moved.append(_moved_on(callback, made, planned_at_us, terms))
    return now, moved


def _probe(
    tx: Transaction, endpoint: Endpoint, lane: Lane, terms: Terms, plans: Plans
) -> tuple[list[Claimed], list[Outcome]]:
    """Take one callback of a parked endpoint as a probe; see after those whose attempts are used up meanwhile."""
    queues = callbacks.lease(
        tx,
        [Wanted(endpoint.id, is_retry, SWEEP) for is_retry in (True, False)],
        now_us=terms.now_us,
        lease_until_us=terms.lease_until_us,
        lease_token=terms.lease_token,
    )
    due = sorted((each for queue in queues for each in queue.callbacks), key=lambda each: each.planned_at_us)
    alive, used_up = (due, []) if _keeps(endpoint, terms) else _used_up(due, endpoint, terms, plans)
    recorded = callbacks.record(tx, used_up)
    callbacks.give_back(tx, alive[1:])
    left = [queue.next_due_at_us for queue in queues if queue.next_due_at_us is not None]
    ready_at_us = terms.lease_until_us if alive else min(left, default=None)
    if not alive and used_up:
        ready_at_us = terms.now_us
    endpoints.save(
        tx,
        [
            msgspec.structs.replace(
                endpoint,
                circuit=probing(endpoint.circuit),
                first_ready_at_us=ready_at_us,
                retry_ready_at_us=None,
                is_full=bool(alive),
                looked_at_us=terms.now_us,
            )
        ],
    )
    return [Claimed(callback, endpoint, lane) for callback in alive[:1]], recorded


def _used_up(
    due: Sequence[DueCallback], endpoint: Endpoint, terms: Terms, plans: Plans
) -> tuple[list[DueCallback], list[Outcome]]:
    alive: list[DueCallback] = []
    used_up: list[Outcome] = []
    for callback in due:
        made, next_at_us = plans.of(callback, endpoint).skip_missed(
            callback.attempts_made, callback.planned_at_us, terms.now_us
        )
        if next_at_us is None:
            used_up.append(_moved_on(callback, made, None, terms))
        else:
            alive.append(callback)
    return alive, used_up


def _moved_on(callback: DueCallback, made: int, planned_at_us: int | None, terms: Terms) -> Outcome:
    attempt = None
    if planned_at_us is None:
        attempt = Attempt(
            callback_id=callback.id,
            number=made,
            planned_at_us=callback.planned_at_us,
            started_at_us=terms.now_us,
            duration_us=0,
            outcome="parked",
            http_status=None,
            request_headers="[]",
            response_headers="[]",
            response_body=b"",
            error=f"attempts {callback.attempts_made + 1} to {made} were not made: the endpoint was parked",
        )
    return Outcome(
        callback=callback,
        attempt=attempt,
        attempts_made=made,
        state="given_up" if planned_at_us is None else "pending",
        next_due_at_us=planned_at_us,
        recorded_at_us=terms.now_us,
    )


def _keeps(endpoint: Endpoint, terms: Terms) -> bool:
    return terms.keep_parked if endpoint.keep_parked is None else endpoint.keep_parked
