"""Many rows in one statement.

``executemany`` steps the database once per row, and Python's SQLite module gives up the interpreter lock at
each step: beside a busy event loop every row then waits for its turn. One statement with many ``VALUES`` is one
step, whatever the number of rows. Sizes are few, so that a handful of statements serve every batch: up to 8 each of
them, up to 64 multiples of 8, then powers of two.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction

Row = Mapping[str, Any]

MAX_PARAMETERS: Final = 8_192
"""Below every supported database's limit (SQLite 32,766, PostgreSQL 65,535); larger gains nothing."""

_SQLITE_MARK: Final = "?"


def insert(tx: Transaction, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, all with the columns of the first one."""
    for columns, chunk in _chunks(rows):
        _run(tx, _insert_sql(table, columns, len(chunk), _marks(tx)), columns, chunk)


def insert_structs(tx: Transaction, table: sa.Table, rows: Sequence[msgspec.Struct]) -> None:
    """Insert rows that have the columns as their fields, all of one type."""
    if not rows:
        return
    columns = rows[0].__struct_fields__
    for chunk in _sized(rows, len(columns)):
        values = tuple(chain.from_iterable(map(msgspec.structs.astuple, chunk)))
        tx.exec_driver_sql(_insert_sql(table, columns, len(chunk), _marks(tx)), values)


def add(tx: Transaction, table: sa.Table, rows: Sequence[Row], *, total: str) -> None:
    """Insert rows, no two of the same key; where one with that key exists, add to its column ``total`` instead."""
    for columns, chunk in _chunks(rows):
        _run(tx, _add_sql(table, columns, len(chunk), total, _marks(tx)), columns, chunk)


def update(tx: Transaction, table: sa.Table, rows: Sequence[Row], *, key: str) -> None:
    """Set the columns of each row where ``key`` has its value."""
    for columns, chunk in _chunks(rows):
        _run(tx, _update_sql(table, columns, len(chunk), key, _marks(tx)), columns, chunk)


def _chunks(rows: Sequence[Row]) -> Iterator[tuple[tuple[str, ...], Sequence[Row]]]:
    if not rows:
        return
    columns = tuple(rows[0])
    for chunk in _sized(rows, len(columns)):
        yield columns, chunk


def _sized(rows: Sequence[Any], columns: int) -> Iterator[Sequence[Any]]:
    most = 1 << ((MAX_PARAMETERS // columns).bit_length() - 1)
    at = 0
    while at < len(rows):
        size = min(most, _size(len(rows) - at))
        yield rows[at : at + size]
        at += size


def _size(rows: int) -> int:
    if rows <= 8:
        return rows
    return rows & ~7 if rows <= 64 else 1 << (rows.bit_length() - 1)


def _run(tx: Transaction, sql: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    # Every table written in bulk has a key and something beside it: an item getter of one column gives no tuple.
    tx.exec_driver_sql(sql, tuple(chain.from_iterable(map(itemgetter(*columns), rows))))


def _marks(tx: Transaction) -> str:
    return _SQLITE_MARK if tx.dialect.paramstyle == "qmark" else "%s"


def _values(columns: tuple[str, ...], count: int, mark: str) -> str:
    row = "(" + ", ".join([mark] * len(columns)) + ")"
    return ", ".join([row] * count)


@lru_cache(maxsize=512)
def _insert_sql(table: sa.Table, columns: tuple[str, ...], count: int, mark: str) -> str:
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) VALUES {_values(columns, count, mark)}"  # noqa: S608 - own names


@lru_cache(maxsize=64)
def _add_sql(table: sa.Table, columns: tuple[str, ...], count: int, total: str, mark: str) -> str:
    keys = ", ".join(column.name for column in table.primary_key)
    return (
        f"{_insert_sql(table, columns, count, mark)} ON CONFLICT ({keys}) "
        f"DO UPDATE SET {total} = {table.name}.{total} + excluded.{total}"
    )


@lru_cache(maxsize=256)
def _update_sql(table: sa.Table, columns: tuple[str, ...], count: int, key: str, mark: str) -> str:
    # A VALUES list takes its types from its first row, where PostgreSQL must not have to guess at a NULL.
    typed = ", ".join(f"CAST({mark} AS {_type(table, column, mark)})" for column in columns)
    values = ", ".join(part for part in (f"({typed})", _values(columns, count - 1, mark)) if part)
    changes = ", ".join(f"{column} = v.{column}" for column in columns if column != key)
    return (
        f"WITH v ({', '.join(columns)}) AS (VALUES {values}) "  # noqa: S608 - own names
        f"UPDATE {table.name} SET {changes} FROM v WHERE {table.name}.{key} = v.{key}"
    )


def _type(table: sa.Table, column: str, mark: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, sa.LargeBinary):
        return "BLOB" if mark == _SQLITE_MARK else "BYTEA"
    return "BIGINT" if isinstance(kind, sa.Integer) else "BOOLEAN" if isinstance(kind, sa.Boolean) else "TEXT"
