"""The server driver: PostgreSQL 15 or newer, over psycopg.

Several threads write at a time, each on a connection of its own; others read. Transactions of different processes
meet only where they touch the same rows, and then wait for each other up to the busy timeout.

**When the connection is lost during a commit**, the server is asked on another one what became of it
(``store.outcome``). Only when that cannot be learnt within the busy timeout is it ``OutcomeUnknown``; what is written
again then has to bear being there already.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar, cast

import psycopg
import sqlalchemy as sa
from alembic.util import CommandError
from psycopg.types.string import StrDumperUnknown

from ringback.model.errors import DatabaseUnusable, OutcomeUnknown, StoreUnavailable
from ringback.runtime import Clock
from ringback.store import outcome, rows
from ringback.store.deadline import Deadlines
from ringback.store.notify import Notifications
from ringback.store.outcome import Begun, CommitUnansweredError
from ringback.store.port import POLITE_BATCH, Transaction
from ringback.store.rows import RowStream, TextAnswer
from ringback.store.upgrade import is_newer, upgrade
from ringback.store.wakeups import Wakeups

T = TypeVar("T")

WRITERS: Final = 4
LEASERS: Final = 2
"""One for each of the loops that lease: submissions, callbacks."""
READERS: Final = 3
STREAMS: Final = 3
OLDEST_SERVER: Final = 15
MOST_TRIES: Final = 3
"""How often a transaction is begun that the server gave up in favour of another."""
STATEMENT_TIMEOUT_FACTOR: Final = 5
"""A statement may work for so many times as long as it may wait for a lock."""
DEADLINE_MARGIN_S: Final = 1.0
"""How much longer than the server may take its answer is waited for; then nobody is there."""
STREAM_TIMEOUT_S: Final = 120
"""How long one large answer may take: a rebuild reads much at a time."""
UPGRADE_WAIT_S: Final = 60
"""How long a process that starts waits for another one that is upgrading the database."""

_CLOCK: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_HISTORY: Final = "history"
_UPGRADE_LOCK: Final = 0x52494E47
"""Names the advisory lock of upgrades; any number that nobody else uses in this database."""
_GAVE_WAY: Final = ("40001", "40P01")
"""Serialization failure, deadlock: rolled back as a whole, and likely to work at once."""
_STILL_SOUND: Final = (*_GAVE_WAY, "55P03", "57014")
"""Also lock not available, statement cancelled: the connection can be used again."""
_CIRCUMSTANCES: Final = ("25006", "25P03", "XX")
"""What psycopg counts among its internal errors: read-only server, idle too long, damage (a class)."""


class PostgresStore:
    """A ``Store`` on a PostgreSQL server. Made by :func:`open_store`."""

    def __init__(self, url: sa.URL, *, busy_timeout_s: float) -> None:
        self._busy_timeout_s = busy_timeout_s
        self._deadline_s = _longest_s(busy_timeout_s) + DEADLINE_MARGIN_S
        self._deadlines = Deadlines(self._deadline_s)
        self._writing = _engine(url, busy_timeout_s=busy_timeout_s, connections=WRITERS)
        self._leasing = _engine(url, busy_timeout_s=busy_timeout_s, connections=LEASERS, durable=False)
        self._reading = _engine(url, busy_timeout_s=busy_timeout_s, connections=READERS, read_only=True)
        self._streaming = _engine(url, busy_timeout_s=busy_timeout_s, connections=STREAMS, read_only=True)
        for engine in (self._writing, self._leasing, self._reading):
            _renew_at_each_step(engine, self._deadlines)
        for engine in (self._writing, self._leasing):
            sa.event.listen(engine, "connect", _prepare_to_begin)
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="store-write")
        self._leasers = ThreadPoolExecutor(LEASERS, thread_name_prefix="store-lease")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """See ``Store.write``. ``work`` runs anew, up to 3 times, when it had to give way to another transaction."""
        loop = asyncio.get_running_loop()
        if durable:
            return await loop.run_in_executor(self._writers, self._write_durably, work)
        lease = partial(_transact, self._leasing, work, self._deadlines, begin=outcome.begin_lease)
        return await loop.run_in_executor(self._leasers, lease)

    def _write_durably(self, work: Callable[[Transaction], T]) -> T:
        try:
            return _transact(self._writing, work, self._deadlines, begin=outcome.begin)
        except CommitUnansweredError as unanswered:
            ask = partial(_ask, self._writing, unanswered.begun, self._deadlines)
            committed = outcome.was_committed(ask, within_s=self._busy_timeout_s)
            if committed:
                return cast("T", unanswered.result)
            line = _one_line(_without_values(unanswered.error))
            if committed is None:
                raise OutcomeUnknown(f"it is not known whether the database took the transaction: {line}") from None
            raise StoreUnavailable(f"the database did not take the transaction: {line}") from None

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See ``Store.read``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, _transact, self._reading, work, self._deadlines)

    def background_batch(self) -> int:
        """See ``Store.background_batch``: others wait for the rows of endpoints that a write has, at any size."""
        return POLITE_BATCH

    async def clock_ahead_us(self, clock: Clock) -> int:
        """See ``Store.clock_ahead_us``: the server's clock counts, asked three times for the quickest answer."""

        def ask(tx: Transaction) -> tuple[int, int]:
            asked_us = clock.now_us()
            theirs_us: int = tx.exec_driver_sql(_CLOCK).scalar_one()
            answered_us = clock.now_us()
            return answered_us - asked_us, theirs_us - (asked_us + answered_us) // 2

        def quickest(tx: Transaction) -> int:
            return min(ask(tx) for _ in range(3))[1]

        return await self.read(quickest)

    def watch(self, wakeups: Wakeups) -> Notifications:
        """See ``Store.watch``; also passes what ``wakeups`` signals here on to other processes."""
        return Notifications(self._connect_for_hints, wakeups, longest_s=self._deadline_s)

    @contextlib.contextmanager
    def stream(self, query: sa.Select[Any]) -> Iterator[RowStream]:
        """See ``Store.stream``."""
        with self._for_large_answers() as connection, rows.stream(connection, query, psycopg.Error) as answer:
            yield answer

    def text(self, query: sa.Select[Any]) -> TextAnswer:
        """See ``Store.text``."""
        with self._for_large_answers() as connection:
            return rows.as_text(connection, query)

    @contextlib.contextmanager
    def _for_large_answers(self) -> Iterator[sa.Connection]:
        with _named_errors(), self._streaming.connect() as connection:
            connection.exec_driver_sql(f"SET statement_timeout = {STREAM_TIMEOUT_S * 1000}")
            yield connection

    async def close(self) -> None:
        """See ``Store.close``."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._leasers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._writing.dispose()
        self._leasing.dispose()
        self._reading.dispose()
        self._streaming.dispose()
        await asyncio.to_thread(self._deadlines.close)

    async def _connect_for_hints(self) -> psycopg.AsyncConnection:
        _, arguments = self._reading.dialect.create_connect_args(self._reading.url)
        arguments = {**arguments, **_connect_arguments(self._busy_timeout_s)}
        return await psycopg.AsyncConnection.connect(**arguments, autocommit=True)


def open_store(url: str, *, busy_timeout_s: float) -> PostgresStore:
    """Open the database at ``url`` (``postgresql://USER:PASSWORD@HOST:PORT/NAME``), creating or upgrading its tables.

    ``busy_timeout_s`` bounds how long a transaction waits for a lock, and how long an unreachable server is waited
    for. Raises ``DatabaseUnusable`` with one line that says what to do, and never the password.
    """
    parsed = _parse(url)
    engine = _engine(parsed, busy_timeout_s=busy_timeout_s, connections=1)
    try:
        with engine.begin() as connection:
            _check(connection, parsed)
            _upgrade_alone(connection, busy_timeout_s)
    except (sa.exc.DBAPIError, CommandError) as error:
        raise DatabaseUnusable(_explain(parsed, error)) from _without_values(error)
    finally:
        engine.dispose()
    return PostgresStore(parsed, busy_timeout_s=busy_timeout_s)


def _parse(url: str) -> sa.URL:
    advice = "write it as postgresql://USER:PASSWORD@HOST:PORT/NAME, with %-escapes for special characters"
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # What SQLAlchemy says quotes the URL, and with it the password.
        raise DatabaseUnusable(f"store.url cannot be read: {advice}") from None
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise DatabaseUnusable(f"store.url names {parsed.drivername}, which is no driver: {advice}")
    if not parsed.database:
        raise DatabaseUnusable(f"store.url names no database: {advice}")
    return parsed.set(drivername="postgresql+psycopg")


def _engine(
    url: sa.URL, *, busy_timeout_s: float, connections: int, read_only: bool = False, durable: bool = True
) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        # Errors quote statements; what was bound to them is message text and tokens.
        hide_parameters=True,
        # As many as threads: none ever waits for one.
        pool_size=connections,
        max_overflow=0,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        use_native_hstore=False,
        connect_args=_connect_arguments(busy_timeout_s),
    )
    sa.event.listen(
        engine,
        "connect",
        partial(_configure, busy_timeout_s=busy_timeout_s, read_only=read_only, durable=durable),
    )
    return engine


def _connect_arguments(busy_timeout_s: float) -> dict[str, Any]:
    """Let a server that is away be noticed within about the busy timeout, in whole seconds and two at the least."""
    seconds = max(2, math.ceil(busy_timeout_s))
    return {
        "application_name": "ringback",
        "client_encoding": "utf8",
        "connect_timeout": seconds,
        "keepalives": 1,
        "keepalives_idle": seconds,
        "keepalives_interval": 1,
        "keepalives_count": seconds,
        "tcp_user_timeout": seconds * 1000,
    }


def _configure(
    connection: psycopg.Connection, _: Any, *, busy_timeout_s: float, read_only: bool, durable: bool
) -> None:
    lock_ms = max(1, round(busy_timeout_s * 1000))
    longest_ms = round(_longest_s(busy_timeout_s) * 1000)
    settings = {
        "timezone": "UTC",
        "lock_timeout": f"{lock_ms}ms",
        "statement_timeout": f"{longest_ms}ms",
        # The server's side of it: a process whose machine is gone must not keep its rows locked.
        "idle_in_transaction_session_timeout": f"{longest_ms}ms",
        "tcp_keepalives_idle": str(max(1, math.ceil(busy_timeout_s))),
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": str(max(2, math.ceil(busy_timeout_s))),
    }
    connection.autocommit = True
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    # Stronger settings than "on" stand; weaker ones would let go of what was promised to be on disk.
    if durable:
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
    else:
        connection.execute("SELECT set_config('synchronous_commit', 'off', false)")
    connection.autocommit = False
    connection.read_only = read_only
    connection.adapters.register_dumper(str, _TextDumper)


def _prepare_to_begin(connection: psycopg.Connection, record: sa.pool.ConnectionPoolEntry) -> None:
    # Transactions are begun here, not by the driver.
    connection.autocommit = True
    record.info[_HISTORY] = outcome.history(connection)


def _longest_s(busy_timeout_s: float) -> float:
    """Return how long the server may work on a statement."""
    return max(0.001, busy_timeout_s) * STATEMENT_TIMEOUT_FACTOR


def _renew_at_each_step(engine: sa.Engine, deadlines: Deadlines) -> None:
    def before_statement(connection: Transaction, *_: object) -> None:
        deadlines.renew(_driver_connection(connection))

    def connected(connection: psycopg.Connection, _: Any) -> None:
        # Until the transaction that it was made for has it, so that setting it up has an end too.
        deadlines.renew(connection)

    sa.event.listen(engine, "connect", connected, insert=True)
    sa.event.listen(engine, "before_cursor_execute", before_statement)
    sa.event.listen(engine, "commit", before_statement)


def _driver_connection(connection: Transaction) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.dbapi_connection)


class _TextDumper(StrDumperUnknown):
    """Puts U+FFFD for NUL, which PostgreSQL's text cannot hold: one such character must not fail a whole write."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\x00", "\ufffd") if "\x00" in obj else obj)


_Begin = Callable[[psycopg.Connection, str], Begun | None]


def _transact(
    engine: sa.Engine, work: Callable[[Transaction], T], deadlines: Deadlines, *, begin: _Begin | None = None
) -> T:
    with _named_errors():
        for _ in range(MOST_TRIES - 1):
            try:
                return _transact_once(engine, work, deadlines, begin)
            except sa.exc.OperationalError as error:
                if _sqlstate(error) not in _GAVE_WAY:
                    raise
        return _transact_once(engine, work, deadlines, begin)


def _transact_once(
    engine: sa.Engine, work: Callable[[Transaction], T], deadlines: Deadlines, begin: _Begin | None
) -> T:
    with engine.connect() as connection, deadlines.hold(_driver_connection(connection)):
        try:
            with connection.begin() as transaction:
                driver = _driver_connection(connection)
                begun = begin(driver, connection.info[_HISTORY]) if begin else None
                result = work(connection)
                _refuse_hollow_commit(connection)
                try:
                    transaction.commit()
                except sa.exc.DBAPIError as error:
                    if begun is not None and _is_unanswered(error, driver):
                        raise CommitUnansweredError(begun, result, error) from error
                    raise
        except sa.exc.DBAPIError as error:
            if _is_circumstance(error) and _sqlstate(error) not in _STILL_SOUND:
                connection.invalidate()
            raise
        except CommitUnansweredError:
            connection.invalidate()
            raise
        return result


def _is_unanswered(error: sa.exc.DBAPIError, driver: psycopg.Connection) -> bool:
    """Say whether COMMIT ended with the connection, and not with an answer of its own."""
    said = error.orig.diag.severity_nonlocalized if isinstance(error.orig, psycopg.Error) else None
    return driver.closed or said in {None, "FATAL", "PANIC"}


def _ask(engine: sa.Engine, begun: Begun, deadlines: Deadlines) -> str | None:
    """Ask what became of a transaction; ``None`` when nobody answers."""
    try:
        with engine.connect() as connection, deadlines.hold(_driver_connection(connection)):
            try:
                return outcome.status(_driver_connection(connection), begun)
            except psycopg.Error:
                connection.invalidate()
                return None
    except sa.exc.DBAPIError:
        return None


def _refuse_hollow_commit(connection: Transaction) -> None:
    # PostgreSQL answers COMMIT with a rollback, and no error, when a statement has failed before.
    pgconn = getattr(connection.connection.dbapi_connection, "pgconn", None)
    if pgconn is not None and pgconn.transaction_status == psycopg.pq.TransactionStatus.INERROR:
        raise RuntimeError("a statement of this transaction failed and its error was not passed on")


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Turn failures of circumstance into ``StoreUnavailable``; programming errors stay, without bound values."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        plain = _without_values(error)
        if _is_circumstance(error):
            raise StoreUnavailable(f"the database did not take the transaction: {_one_line(plain)}") from plain
        raise plain.with_traceback(error.__traceback__) from None


def _is_circumstance(error: sa.exc.DBAPIError) -> bool:
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or error.connection_invalidated:
        return True
    return isinstance(error, sa.exc.InternalError) and _sqlstate(error).startswith(_CIRCUMSTANCES)


def _sqlstate(error: Exception) -> str:
    """Return the server's code, empty when the error is the client's own."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _without_values(error: Exception) -> Exception:
    """Return an error without the server's details, which quote the rows that it refused."""
    if not isinstance(error, sa.exc.DBAPIError) or not isinstance(error.orig, psycopg.Error):
        return error
    primary = error.orig.diag.message_primary or str(error.orig)
    return type(error)(error.statement, None, type(error.orig)(primary), hide_parameters=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())


def _check(connection: Transaction, url: sa.URL) -> None:
    version = int((connection.dialect.server_version_info or (0,))[0])
    if version < OLDEST_SERVER:
        raise DatabaseUnusable(
            f"{_place(url)} runs PostgreSQL {version}: upgrade it to {OLDEST_SERVER} or newer, or choose another"
        )
    facts = connection.execute(
        sa.text("SELECT current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync")
    ).one()
    if facts.encoding != "UTF8":
        raise DatabaseUnusable(
            f"{_place(url)} is encoded in {facts.encoding}: create a database with ENCODING 'UTF8' TEMPLATE template0"
        )
    if facts.fsync != "on":
        raise DatabaseUnusable(
            f"{_place(url)} does not write what it commits to disk: set fsync = on in postgresql.conf, then reload it"
        )


def _upgrade_alone(connection: Transaction, busy_timeout_s: float) -> None:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{UPGRADE_WAIT_S}s'")
    # Taken before looking, and let go by the end of the transaction, so that one process upgrades and the others
    # find it done.
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{max(1, round(busy_timeout_s * 1000))}ms'")
    upgrade(connection)


def _place(url: sa.URL) -> str:
    return f"the database {url.database} at {url.host or 'the local socket'}:{url.port or 5432}"


def _explain(url: sa.URL, error: Exception) -> str:
    place, text = _place(url), _one_line(_without_values(error))
    if is_newer(error):
        return f"{place} was written by a newer Ringback: upgrade this one, or choose another database"
    if advice := _ADVICE_BY_STATE.get(_sqlstate(error)):
        return f"{place} {advice}"
    for words, advice in _ADVICE_BY_WORDS.items():
        if words in text:
            return f"{place} {advice}"
    if isinstance(error, sa.exc.OperationalError) and not _sqlstate(error):
        return f"{place} cannot be reached: start the server, or correct store.url ({text})"
    return f"{place} cannot be opened: {text}"


_ADVICE_BY_STATE: Final = {
    "25006": "is read-only: name the primary server in store.url",
    "42501": "lets this user create no tables: make the user its owner, or GRANT CREATE ON SCHEMA public",
    "42P07": "has tables of the same names that Ringback did not make: choose an empty database",
    "55P03": "is held by another process that does not let go: stop it, then start again",
}

# A server that refuses a connection says why in words only.
_ADVICE_BY_WORDS: Final = {
    "password authentication failed": "refuses the password: correct user and password in store.url",
    "no password supplied": "asks for a password: put one into store.url",
    "no pg_hba.conf entry": "lets this user not in from here: add a line to the server's pg_hba.conf",
    "too many clients": "has no connection left: raise max_connections, or run fewer processes",
    "remaining connection slots": "has no connection left: raise max_connections, or run fewer processes",
    'role "': "does not know this user: create the user, or correct store.url",
    "does not exist": "does not exist: create it (CREATE DATABASE), or correct store.url",
    "starting up": "is starting: try again in a moment",
}
