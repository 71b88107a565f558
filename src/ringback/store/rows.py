"""Large answers: in portions of plain rows, or as one text that the database itself puts together.

They are what copies the log elsewhere. A text costs the interpreter nothing for each row, and no lock of its own.

They come over the driver that all of Ringback uses. A second copy of SQLite in one process, as readers by columns bring
along, would let go of the locks of the first: what holds them is the process (sqlite.org/howtocorrupt.html, 2.2.1).
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import StoreUnavailable

PORTION: Final = 1_000
"""Rows that are fetched at a time: the interpreter belongs to nobody else meanwhile."""

NEXT_VALUE: Final = "\x1f"
NEXT_ROW: Final = "\n"
_NOT_IN_A_VALUE: Final = (NEXT_VALUE, NEXT_ROW, "\r")
"""What separates, and what readers of lines take for the end of one."""

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


class TextAnswer(msgspec.Struct, frozen=True):
    """An answer as one text: a line for each row, U+001F between its values."""

    columns: Sequence[tuple[str, str]]
    """The name of each, and what its values are: ``integer`` or ``text``."""
    rows: int
    text: str


@contextlib.contextmanager
def in_transaction(connection: sa.Connection, begin: str = "BEGIN") -> Iterator[None]:
    """Commit what is done in the context, or roll it back when that fails; the driver begins none by itself."""
    connection.exec_driver_sql(begin)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.exec_driver_sql("ROLLBACK")
        raise


@contextlib.contextmanager
def stream(connection: sa.Connection, query: sa.Select[Any], failures: type[Exception]) -> Iterator[RowStream]:
    """Begin an answer in a transaction of its own, which lasts as long as the context.

    ``failures`` are the driver's, which SQLAlchemy does not see while rows are fetched: ``StoreUnavailable`` is raised.
    """
    with in_transaction(connection):
        result = connection.execute(query)
        kinds = [(column.name, _kind(column.type)) for column in query.selected_columns]
        yield RowStream(kinds, _fetch(result, failures))
        result.close()


def as_text(connection: sa.Connection, query: sa.Select[Any]) -> TextAnswer:
    """Ask for an answer as a text, in a transaction of its own. No value may be NULL.

    A value that has a separator in it, which a sender's or a carrier's name might, gets a space for it.
    """
    with in_transaction(connection):
        answer = _ask_for_text(connection, query, lambda value: value)
        return answer if _is_sound(answer) else _ask_for_text(connection, query, _without_separators)


_Cleaning = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]]


def _ask_for_text(connection: sa.Connection, query: sa.Select[Any], clean: _Cleaning) -> TextAnswer:
    kinds = [(column.name, _kind(column.type)) for column in query.selected_columns]
    found = query.subquery()
    values = [found.c[name] if kind == "integer" else clean(found.c[name]) for name, kind in kinds]
    if connection.dialect.name == "sqlite":
        # Much cheaper than to join them one after the other.
        line = sa.func.printf(sa.literal(NEXT_VALUE.join(["%s"] * len(values)), sa.Text), *values)
    else:
        parts = [sa.cast(value, sa.Text) for value in values]
        line = sa.func.concat_ws(sa.literal(NEXT_VALUE, sa.Text), *parts)
    asked = sa.select(sa.func.count(), sa.func.aggregate_strings(sa.type_coerce(line, sa.Text), NEXT_ROW))
    rows, text = connection.execute(asked.select_from(found)).one()
    return TextAnswer(kinds, rows, text or "")


def _without_separators(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return functools.reduce(lambda so_far, one: sa.func.replace(so_far, one, " "), _NOT_IN_A_VALUE, value)


def _is_sound(answer: TextAnswer) -> bool:
    expected = (answer.rows * (len(answer.columns) - 1), max(answer.rows - 1, 0), 0)
    return tuple(map(answer.text.count, _NOT_IN_A_VALUE)) == expected


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
