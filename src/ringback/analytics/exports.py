"""Rows of a question as a file: DuckDB writes it into the analytics' directory; it is sent from there and deleted."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

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


def copying(sql: str, path: Path, kind: Kind) -> str:
    """Return the statement that writes the rows of one to a file."""
    quoted = str(path).replace("'", "''")
    return f"COPY (\n{sql}\n) TO '{quoted}' ({_COPIED_AS[kind]})"


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


async def sent(path: Path) -> AsyncGenerator[bytes, None]:
    """Give the file's content."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
