"""Answers by columns: what Arrow readers, such as DuckDB, take as they are, without a Python object for each value.

Each answer is one statement on a connection of its own, so it is consistent in itself, holds no lock that a writer
waits for, and ends as soon as it has been read or given up. Connections are kept for the next answer.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

import sqlalchemy as sa

from ringback.model.errors import StoreUnavailable

_MOST_IDLE: Final = 2
_MANAGER: Final = "adbc_driver_manager"
"""Loaded like the drivers when it is needed: no command waits for it."""


class ColumnStream(Protocol):
    """An answer, to be read once and from first to last."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the stream away; see Arrow's PyCapsule interface."""
        ...


class ColumnReader:
    """Reads by columns from one database."""

    def __init__(
        self,
        driver: str,
        uri: str,
        *,
        dialect: sa.Dialect,
        setup: Sequence[str],
        options: Mapping[str, str] | None = None,
    ) -> None:
        """``driver`` is a package of ADBC; ``setup`` are statements for each new connection; ``dialect`` is what
        queries are written in; ``options`` are the driver's, for each query.
        """
        self._options = dict(options or {})
        self._driver = driver
        self._uri = uri
        self._dialect = dialect
        self._setup = setup
        self._database: Any = None
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def stream(self, query: sa.Select[Any]) -> Iterator[ColumnStream]:
        """Begin an answer. Raises ``StoreUnavailable``; what is met while it is read comes from whoever reads it."""
        manager: Any = import_module(_MANAGER)
        # Values are numbers of ours: written out, they need no Arrow table of parameters.
        text = str(query.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))
        try:
            connection = self._take(manager)
            statement = manager.AdbcStatement(connection)
        except manager.Error as error:
            raise _unavailable(error) from error
        try:
            statement.set_sql_query(text)
            if self._options:
                statement.set_options(**self._options)
            stream, _ = statement.execute_query()
            yield stream
        except BaseException as error:
            for opened in (statement, connection):
                with contextlib.suppress(manager.Error):
                    opened.close()
            if isinstance(error, manager.Error):
                raise _unavailable(error) from error
            raise
        del stream
        statement.close()
        self._give_back(connection)

    def _take(self, manager: Any) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._database is None:
                self._database = import_module(self._driver).connect(self._uri)
            connection = manager.AdbcConnection(self._database)
        for text in self._setup:
            statement = manager.AdbcStatement(connection)
            statement.set_sql_query(text)
            statement.execute_query()
            statement.close()
        return connection

    def _give_back(self, connection: Any) -> None:
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


def _unavailable(error: Exception) -> StoreUnavailable:
    first, _, _ = str(error).partition("\n")
    return StoreUnavailable(f"the database gives no columns: {first}")
