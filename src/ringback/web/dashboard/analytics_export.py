"""A table of the analytics pages as a file. The engine writes it, as it writes rows of questions of one's own."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from ringback.analytics.engine import Engine
from ringback.analytics.exports import EXPORT_TYPES
from ringback.analytics.filters import Filter
from ringback.model import money
from ringback.model.errors import InvalidRequest
from ringback.web.dashboard.analytics_grid import Column, Grid

_TYPES: Final = {
    "text": "VARCHAR", "count": "BIGINT", "share": "DOUBLE", "ms": "BIGINT", "money": "DECIMAL(18, 5)",
    "price": "DECIMAL(18, 5)", "time": "TIMESTAMP", "number": "BIGINT",
}  # fmt: skip
"""DuckDB's of each kind of column."""


async def exported(engine: Engine, grid: Grid, kind: str, page: str, chosen: Filter) -> Response:
    """Answer with a table as a file whose name says page, table and period.

    Raises ``InvalidRequest`` for another format, and ``AnalyticsAway``.
    """
    if kind not in EXPORT_TYPES:
        raise InvalidRequest(f"format must be one of {', '.join(EXPORT_TYPES)}")
    name = f"{page}-{grid.name}-{_minute(chosen.since_us)}-{_minute(chosen.until_us)}.{kind}".replace("_", "-")
    sql, given = as_question(grid)
    parts = engine.export(sql, given, kind=kind)
    # The first step may raise: before the answer has begun.
    first = await anext(parts, b"")
    return StreamingResponse(
        _all(first, parts),
        media_type=EXPORT_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def as_question(grid: Grid) -> tuple[str, list[list[str | None]]]:
    """Return the SELECT whose rows are those of a table, and what is given to it."""
    picked = ", ".join(
        f'unnest(CAST(? AS VARCHAR[]))::{_TYPES[column.kind]} AS "{column.name}"' for column in grid.columns
    )
    given = [[_text(column, row.values[at]) for row in grid.rows] for at, column in enumerate(grid.columns)]
    return f"SELECT {picked}", given


def _text(column: Column, value: Any) -> str | None:
    if value is None:
        return None
    if column.kind == "time":
        return datetime.fromtimestamp(value / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if column.kind in {"money", "price"}:
        return money.shown(value)
    return str(value)


async def _all(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(parts):
        yield first
        async for part in parts:
            yield part


def _minute(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y%m%dT%H%MZ")
