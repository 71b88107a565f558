"""How much is waiting, for metrics: each figure costs a bounded amount of work, however much there is."""

from collections import Counter
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.metrics import LINK_STATES
from ringback.model.circuit import CircuitState
from ringback.store import alerts, routing
from ringback.store.endpoints import FIRST_LANES
from ringback.store.port import Transaction
from ringback.store.schema import callback_queue, callbacks, endpoints, replays, submissions
from ringback.store.schema_smpp import smpp_owed
from ringback.store.schema_upstream import conversions_out

HOUR_US: Final = 3_600_000_000
COUNT_UP_TO: Final = 100_000
LINKS_TOLD_S: Final = 60
"""A process that has not told of its links for so long has ended."""
LOOK_AT: Final = 256
"""Endpoints, of each index that orders them, in whose queues the oldest due callback is looked for."""


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What is waiting now."""

    callbacks: int
    submissions: int
    given_up: int
    """Callbacks given up of those that became owed in the last hour."""
    endpoints: dict[str, int]
    """By the state of their circuit; states that none is in count 0."""
    replays: int
    """Replays that have not ended."""
    conversions: int
    """Conversions that are not reported yet."""
    smpp_owed: int
    """Receipts and inbound messages that customers have not acknowledged over SMPP."""
    links: dict[str, int]
    """Links to carriers by their state, as processes told of them within ``LINKS_TOLD_S``."""
    alerts: dict[str, int]
    """Alerts that are open, by kind."""
    oldest_due_s: float
    """Since when the callback is due that waits longest at an endpoint with a closed circuit; 0 when none is."""


def backlog(tx: Transaction, now_us: int) -> Backlog:
    """Return what is waiting."""
    counts = [
        _up_to_limit(sa.select(sa.literal_column("1")).select_from(callback_queue)),
        _up_to_limit(sa.select(sa.literal_column("1")).select_from(submissions)),
        _up_to_limit(
            # Written out, not bound: a partial index on this state can serve it only so.
            sa.select(sa.literal_column("1")).where(
                callbacks.c.state == sa.literal_column("'given_up'"), callbacks.c.created_at_us >= now_us - HOUR_US
            )
        ),
        _up_to_limit(sa.select(sa.literal_column("1")).where(replays.c.due_at_us.is_not(None))),
        _up_to_limit(sa.select(sa.literal_column("1")).where(conversions_out.c.state == "pending")),
        _up_to_limit(sa.select(sa.literal_column("1")).select_from(smpp_owed)),
        *(
            _up_to_limit(sa.select(sa.literal_column("1")).where(endpoints.c.state == state.value))
            for state in CircuitState
        ),
    ]
    owed, waiting, given_up, running, unreported, over_smpp, *by_state = tx.execute(sa.select(*counts)).one()
    due_at_us = _oldest_due_at_us(tx)
    return Backlog(
        callbacks=owed,
        submissions=waiting,
        given_up=given_up,
        endpoints=dict(zip((state.value for state in CircuitState), by_state, strict=True)),
        replays=running,
        conversions=unreported,
        smpp_owed=over_smpp,
        links=_links(tx, now_us),
        alerts=alerts.firing(tx),
        oldest_due_s=0.0 if due_at_us is None else max(now_us - due_at_us, 0) / 1_000_000,
    )


def _links(tx: Transaction, now_us: int) -> dict[str, int]:
    told = routing.links(tx, since_us=now_us - LINKS_TOLD_S * 1_000_000)
    found = Counter(msgspec.json.decode(link.snapshot, type=_State).state for link in told)
    return {state: found[state] for state in LINK_STATES}


class _State(msgspec.Struct, frozen=True):
    state: str


def _up_to_limit(query: sa.Select[Any]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(query.limit(COUNT_UP_TO).subquery()).scalar_subquery()


def _oldest_due_at_us(tx: Transaction) -> int | None:
    """Find the earliest due time behind the endpoints that have been worth a look for longest.

    An endpoint's own time says only when to look next. Leased callbacks are due when their lease ends.
    """
    first, retry = endpoints.c.first_ready_at_us, endpoints.c.retry_ready_at_us
    heads = [
        *((sa.and_(endpoints.c.lane == lane.value, first.is_not(None)), first, False) for lane in FIRST_LANES),
        (retry.is_not(None), retry, True),
    ]
    found = [tx.execute(_earliest(*head)).scalar_one() for head in heads]
    return min((at_us for at_us in found if at_us is not None), default=None)


def _earliest(
    condition: sa.ColumnElement[bool],
    ready: sa.ColumnElement[int | None],
    is_retry: bool,  # noqa: FBT001
) -> sa.Select[Any]:
    head = sa.select(endpoints.c.id, endpoints.c.state).where(condition).order_by(ready).limit(LOOK_AT).subquery("head")
    queue = callback_queue.c
    due = (
        sa.select(sa.func.min(queue.due_at_us))
        .where(queue.endpoint_id == head.c.id, queue.is_retry.is_(is_retry), queue.due_at_us.is_not(None))
        .correlate(head)
        .scalar_subquery()
    )
    return sa.select(sa.func.min(due)).select_from(head).where(head.c.state == CircuitState.CLOSED.value)
