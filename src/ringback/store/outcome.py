"""What became of a commit whose answer was lost.

A server whose connection breaks during COMMIT may have carried it out or not. It knows, and can be asked by the
transaction's id. So whoever writes durably learns that id as the transaction begins, in the same round trip, and asks
for it on another connection if need be.

Ids count only within one history. A server that has crashed, or has taken over from one that did, may lack the last
transactions and give their ids to others. Its statistics then begin anew, or it goes by another timeline, and nothing
is concluded. A connection lives within one history, so that is looked up once for each.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg
import sqlalchemy as sa

from ringback.store.feed import LEAVE_WORD

LOOK_AGAIN_S: Final = 0.02
COMMITTED: Final = "committed"
ABORTED: Final = "aborted"
OTHER_HISTORY: Final = "other history"
"""What is said of an id when another server answers; also what PostgreSQL says of one that it has forgotten."""

_TIMELINE: Final = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_HISTORY: Final = f"{_TIMELINE} || ' ' || extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())"
# Psycopg sends statements without parameters as they are, so that two of them are one message.
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT "
_BEGIN_DURABLY: Final = f"{_BEGIN} pg_current_xact_id()::text, {LEAVE_WORD}".encode()
_BEGIN_LEASE: Final = f"{_BEGIN} {LEAVE_WORD}".encode()
_STATUS: Final = f"SELECT CASE {_HISTORY} WHEN %s THEN coalesce(pg_xact_status(%s::text::xid8), %s) ELSE %s END"


class Begun(msgspec.Struct, frozen=True):
    """A transaction that has begun."""

    xact_id: str
    history: str


class CommitUnansweredError(Exception):
    """The connection broke during COMMIT; the error that says so is the cause."""

    def __init__(self, begun: Begun, result: Any, error: sa.exc.DBAPIError) -> None:
        super().__init__(str(error))
        self.begun = begun
        self.result = result
        """What the function of the transaction returned, good if it was committed."""
        self.error = error


def history(driver: psycopg.Connection) -> str:
    """Name the history that a connection lives in."""
    row = driver.execute(f"SELECT {_HISTORY}".encode()).fetchone()
    return OTHER_HISTORY if row is None else str(row[0])


def begin(driver: psycopg.Connection, known_history: str) -> Begun:
    """Begin a durable transaction on a connection that otherwise commits every statement by itself."""
    return Begun(xact_id=_execute(driver, _BEGIN_DURABLY)[0], history=known_history)


def begin_lease(driver: psycopg.Connection, _: str) -> None:
    """Begin a transaction about which nobody will ask."""
    _execute(driver, _BEGIN_LEASE)


def _execute(driver: psycopg.Connection, statements: bytes) -> tuple[Any, ...]:
    try:
        cursor = driver.execute(statements, prepare=False)
        cursor.nextset()
        row = cursor.fetchone()
    except psycopg.Error as error:
        raise sa.exc.OperationalError("BEGIN", None, error, hide_parameters=True) from error
    if row is None:
        raise RuntimeError("BEGIN gave no row")
    return row


def status(driver: psycopg.Connection, begun: Begun) -> str:
    """Ask what became of a transaction: ``COMMITTED``, ``ABORTED``, ``OTHER_HISTORY`` or ``in progress``."""
    given = (begun.history, begun.xact_id, OTHER_HISTORY, OTHER_HISTORY)
    row = driver.execute(_STATUS.encode(), given).fetchone()
    return OTHER_HISTORY if row is None else str(row[0])


def was_committed(ask: Callable[[], str | None], *, within_s: float) -> bool | None:
    """Ask until there is an answer, ``None`` after ``within_s`` without one.

    ``ask`` returns ``None`` when nobody could be asked.
    """
    until_s = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        found = ask()
        if found in (COMMITTED, ABORTED):
            return found == COMMITTED
        if found == OTHER_HISTORY or time.monotonic() > until_s:
            return None
        pause.wait(LOOK_AGAIN_S)
