"""A small table as a Parquet file, made by DuckDB in memory: no engine is needed, and none is held up."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb


def write_parquet(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a file of rows; ``columns`` are names and DuckDB's types, to which the values are cast."""
    with tempfile.TemporaryDirectory() as directory, duckdb.connect(":memory:", config={"threads": 1}) as con:
        path = Path(directory) / "table.parquet"
        picked = ", ".join(f"unnest(CAST(? AS VARCHAR[]))::{kind} AS {_name(name)}" for name, kind in columns)
        given = [[None if row[at] is None else str(row[at]) for row in rows] for at in range(len(columns))]
        con.execute(f"CREATE TABLE seen AS SELECT {picked}", given)
        con.execute(f"COPY seen TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
