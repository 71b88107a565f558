"""Rows of a question as a file: DuckDB writes it into the analytics' directory; it is sent from there and deleted.

Senders, names and texts are what others chose, and a spreadsheet takes a cell of CSV that begins like a formula for
one. So every CSV of the analytics has a ``'`` before such a text, and before such a name of a column. Numbers and
times stay as they are, and so does everything in the other formats, which say what is text.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from ringback.analytics.definitions import literal
from ringback.analytics.private import make_directory

Kind = Literal["csv", "ndjson", "parquet"]

EXPORT_TYPES: Final[dict[Kind, str]] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
"""Media types."""
_COPIED_AS: Final[dict[Kind, str]] = {
    "csv": "FORMAT csv, HEADER",
    "ndjson": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
_DIRECTORY: Final = "exports"
_CHUNK: Final = 256 * 1024
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that a spreadsheet computes."""
_TEXTS: Final = ("VARCHAR", "BLOB", "ENUM", "UNION")
"""DuckDB's types whose values begin as somebody wrote them; lists and structs begin with a bracket."""


def as_cell(value: object) -> object:
    """Return a value as a cell of CSV has it: no text is a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_cells(sql: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return SQL for the rows of another statement as CSV has them; ``columns`` are its names and DuckDB's types."""
    beginnings = ", ".join(f"chr({ord(each)})" for each in _FORMULA)
    picked = []
    for name, kind in columns:
        cell = _identifier(name)
        if kind.partition("(")[0] in _TEXTS:
            text = f"CAST({cell} AS VARCHAR)"
            cell = f"CASE WHEN left({text}, 1) IN ({beginnings}) THEN chr(39) || {text} ELSE {text} END"
        picked.append(f"{cell} AS {_identifier(str(as_cell(name)))}")
    return f"SELECT {', '.join(picked)} FROM (\n{sql}\n)"


def copying(sql: str, path: Path, kind: Kind) -> str:
    """Return the statement that writes the rows of one to a file."""
    return f"COPY (\n{sql}\n) TO {literal(str(path))} ({_COPIED_AS[kind]})"


def first_rows(sql: str, rows: int) -> str:
    """Return SQL for so many rows of a SELECT."""
    return f"SELECT * FROM (\n{sql}\n) LIMIT {rows:d}"


def file_for(directory: Path, kind: Kind) -> Path:
    """Return a new name in the directory."""
    exports = directory / _DIRECTORY
    make_directory(exports)
    return exports / f"{uuid4().hex}.{kind}"


def remove_left(directory: Path) -> None:
    """Delete what a process that was killed has left."""
    for path in (directory / _DIRECTORY).glob("*"):
        path.unlink(missing_ok=True)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def sent(path: Path) -> AsyncGenerator[bytes, None]:
    """Give the file's content."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
