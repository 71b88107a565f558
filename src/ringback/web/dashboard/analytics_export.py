"""A table of the analytics pages as a file: CSV, NDJSON or Parquet."""

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response, StreamingResponse

from ringback.analytics.filters import Filter
from ringback.analytics.parquet import write_parquet
from ringback.model import money
from ringback.model.errors import InvalidRequest
from ringback.web.dashboard.analytics_grid import Grid

FORMATS: Final = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_ROWS_AT_A_TIME: Final = 500
_PARQUET_TYPES: Final = {
    "text": "VARCHAR", "count": "BIGINT", "share": "DOUBLE", "ms": "BIGINT", "money": "DECIMAL(18, 5)",
    "time": "TIMESTAMP", "number": "BIGINT",
}  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


async def exported(grid: Grid, kind: str, page: str, chosen: Filter) -> Response:
    """Answer with a table as a file whose name says page, table and period. Raises ``InvalidRequest``."""
    if kind not in FORMATS:
        raise InvalidRequest(f"format must be one of {', '.join(FORMATS)}")
    name = f"{page}-{grid.name}-{_day(chosen.since_us)}-{_day(chosen.until_us)}.{kind}".replace("_", "-")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if kind == "parquet":
        columns = [(column.name, _PARQUET_TYPES[column.kind]) for column in grid.columns]
        rows = [[_value(column.kind, value) for column, value in _cells(grid, row)] for row in grid.rows]
        content = await asyncio.to_thread(write_parquet, columns, rows)
        return Response(content, media_type=FORMATS[kind], headers=headers)
    lines = _csv(grid) if kind == "csv" else _ndjson(grid)
    return StreamingResponse(lines, media_type=FORMATS[kind], headers=headers)


def _cells(grid: Grid, row: Any) -> Iterator[tuple[Any, Any]]:
    return zip(grid.columns, row.values, strict=True)


def _value(kind: str, value: Any) -> Any:
    """Return a value as files have it: times in ISO 8601, money in the currency's unit."""
    if value is None:
        return None
    if kind == "time":
        return datetime.fromtimestamp(value / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return money.shown(value) if kind == "money" else value


def _csv(grid: Grid) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.name for column in grid.columns])
    for place, row in enumerate(grid.rows):
        writer.writerow([_plain(_value(column.kind, value)) for column, value in _cells(grid, row)])
        if place % _ROWS_AT_A_TIME == _ROWS_AT_A_TIME - 1:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _plain(value: Any) -> Any:
    """Keep a text of others from being a formula where a spreadsheet opens the file."""
    if isinstance(value, str) and value.startswith(_FORMULA) and money.parse(value) is None:
        return f"'{value}"
    return value


def _ndjson(grid: Grid) -> Iterator[bytes]:
    for start in range(0, len(grid.rows), _ROWS_AT_A_TIME):
        yield b"".join(
            msgspec.json.encode({column.name: _value(column.kind, value) for column, value in _cells(grid, row)})
            + b"\n"
            for row in grid.rows[start : start + _ROWS_AT_A_TIME]
        )


def _day(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y%m%dT%H%MZ")
