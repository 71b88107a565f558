"""How endpoints have answered lately: the attempts of the newest callbacks, whose number is bounded."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.ids import uuid7
from ringback.store.port import Transaction
from ringback.store.schema import attempts, callbacks

LOOK_AT: Final = 5_000
"""So many of the newest callbacks are looked at."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts at one endpoint."""

    account_id: str
    origin: str
    attempts: int
    answered_well: int
    """With a 2xx."""
    p50_us: int
    p95_us: int
    """How long an attempt took until its answer, or until it was ended."""
    last_failure_at_us: int | None
    last_failure: str | None
    """What it was: a status, or how the connection ended."""


class Healths(msgspec.Struct, frozen=True, kw_only=True):
    """Of all endpoints that have been tried."""

    rows: list[Health]
    callbacks: int
    """Callbacks that were looked at; ``LOOK_AT`` when there may be more."""


def healths(tx: Transaction, *, since_us: int, account_id: str | None = None, look_at: int = LOOK_AT) -> Healths:
    """Return how endpoints answered the newest callbacks that became owed since a time, those tried most first."""
    # Ids are in the order of time: this goes back along the key, or along the index of an account.
    newest = sa.select(callbacks.c.id, callbacks.c.account_id, callbacks.c.endpoint).where(
        callbacks.c.id >= uuid7(since_us, bytes(10))
    )
    if account_id is not None:
        newest = newest.where(callbacks.c.account_id == account_id)
    looked = newest.order_by(callbacks.c.id.desc()).limit(look_at).subquery("looked")
    query = sa.select(
        looked.c.id,
        looked.c.account_id,
        looked.c.endpoint,
        attempts.c.outcome,
        attempts.c.http_status,
        attempts.c.started_at_us,
        attempts.c.duration_us,
    ).select_from(looked.outerjoin(attempts, attempts.c.callback_id == looked.c.id))
    found: dict[tuple[str, str], list[Any]] = {}
    seen: set[str] = set()
    for row in tx.execute(query):
        seen.add(row.id)
        # What parking has used up is noted as an attempt too.
        if row.outcome not in (None, "parked"):
            found.setdefault((row.account_id, row.endpoint), []).append(row)
    rows = [_health(*key, tried) for key, tried in found.items()]
    return Healths(rows=sorted(rows, key=lambda each: (-each.attempts, each.origin)), callbacks=len(seen))


def _health(account_id: str, origin: str, tried: list[Any]) -> Health:
    took = sorted(row.duration_us for row in tried)
    failed = max((row for row in tried if row.outcome != "ok"), key=lambda row: row.started_at_us, default=None)
    return Health(
        account_id=account_id,
        origin=origin,
        attempts=len(tried),
        answered_well=sum(row.outcome == "ok" for row in tried),
        p50_us=took[(len(took) * 50 + 99) // 100 - 1],
        p95_us=took[(len(took) * 95 + 99) // 100 - 1],
        last_failure_at_us=None if failed is None else failed.started_at_us,
        last_failure=None if failed is None else _failure(failed.outcome, failed.http_status),
    )


def _failure(outcome: str, http_status: int | None) -> str:
    return f"HTTP {http_status}" if outcome == "http_status" else outcome
