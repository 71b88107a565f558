"""Answers by columns: what Arrow readers, such as DuckDB, take as they are, without a Python object for each value.

Each answer is one statement on a connection of its own, so it is consistent in itself, holds no lock that a writer
waits for, and ends as soon as it has been read or given up. Connections are kept for the next answer.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import sqlalchemy as sa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement, Error

from ringback.model.errors import StoreUnavailable

_MOST_IDLE: Final = 2


class ColumnStream(Protocol):
    """An answer, to be read once and from first to last."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the stream away; see Arrow's PyCapsule interface."""
        ...


class ColumnReader:
    """Reads by columns from one database."""

    def __init__(self, connect: Callable[[], AdbcDatabase], *, dialect: sa.Dialect, setup: Sequence[str]) -> None:
        """``setup`` are statements for each new connection; ``dialect`` is what queries are written in."""
        self._connect = connect
        self._dialect = dialect
        self._setup = setup
        self._database: AdbcDatabase | None = None
        self._idle: list[AdbcConnection] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def stream(self, query: sa.Select[Any]) -> Iterator[ColumnStream]:
        """Begin an answer. Raises ``StoreUnavailable``; what is met while it is read comes from whoever reads it."""
        # Values are numbers of ours: written out, they need no Arrow table of parameters.
        text = str(query.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))
        try:
            connection = self._take()
            statement = AdbcStatement(connection)
        except Error as error:
            raise StoreUnavailable(f"the database gives no columns: {error}") from error
        try:
            statement.set_sql_query(text)
            stream, _ = statement.execute_query()
            yield stream
        except BaseException as error:
            _close(statement, connection)
            if isinstance(error, Error):
                raise StoreUnavailable(f"the database gives no columns: {error}") from error
            raise
        del stream
        statement.close()
        self._give_back(connection)

    def _take(self) -> AdbcConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._database is None:
                self._database = self._connect()
            connection = AdbcConnection(self._database)
        for text in self._setup:
            statement = AdbcStatement(connection)
            statement.set_sql_query(text)
            statement.execute_query()
            statement.close()
        return connection

    def _give_back(self, connection: AdbcConnection) -> None:
        with self._lock:
            if self._database is not None and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            database, self._database = self._database, None
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        if database is not None:
            database.close()


def _close(statement: AdbcStatement, connection: AdbcConnection) -> None:
    with contextlib.suppress(Error):
        statement.close()
    with contextlib.suppress(Error):
        connection.close()
