"""Large answers in portions of plain rows: what copies the log elsewhere, without an object for each row.

They come over the driver that all of Ringback uses. A second copy of SQLite in one process, as readers by columns bring
along, would let go of the locks of the first: what holds them is the process (sqlite.org/howtocorrupt.html, 2.2.1).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from ringback.model.errors import StoreUnavailable

PORTION: Final = 1_000
"""Rows that are fetched at a time: the interpreter belongs to nobody else meanwhile."""

Row = tuple[Any, ...]


class RowStream:
    """An answer, to be read once and from first to last."""

    def __init__(self, columns: Sequence[tuple[str, str]], fetch: Callable[[int], Sequence[Row]]) -> None:
        self.columns = columns
        """The name of each, and what its values are: ``integer``, ``text`` or ``bytes``."""
        self._fetch = fetch

    def portions(self) -> Iterator[Sequence[Row]]:
        """Give the rows, some at a time."""
        while rows := self._fetch(PORTION):
            yield rows


@contextlib.contextmanager
def stream(connection: sa.Connection, query: sa.Select[Any], failures: type[Exception]) -> Iterator[RowStream]:
    """Begin an answer in a transaction of its own, which lasts as long as the context.

    ``failures`` are the driver's, which SQLAlchemy does not see while rows are fetched: ``StoreUnavailable`` is raised.
    """
    connection.exec_driver_sql("BEGIN")
    try:
        result = connection.execute(query)
        kinds = [(column.name, _kind(column.type)) for column in query.selected_columns]
        yield RowStream(kinds, _fetch(result, failures))
        result.close()
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.exec_driver_sql("ROLLBACK")
        raise


def _fetch(result: sa.CursorResult[Any], failures: type[Exception]) -> Callable[[int], Sequence[Row]]:
    def fetch(most: int) -> Sequence[Row]:
        try:
            found: Sequence[Row] = result.cursor.fetchmany(most) if result.cursor is not None else ()
        except failures as error:
            raise StoreUnavailable(f"the database broke off: {error}") from error
        return found

    return fetch


def _kind(type_: sa.types.TypeEngine[Any]) -> str:
    if isinstance(type_, sa.Integer | sa.Boolean):
        return "integer"
    return "bytes" if isinstance(type_, sa.LargeBinary) else "text"
