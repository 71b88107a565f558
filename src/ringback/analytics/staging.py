"""From rows as the store has them to rows as the analytics file has them, in tables in memory.

The platform's messages come as they stand now, not as the event at hand left them: a message that has moved on
meanwhile has further events in the log, and is read again with them. So reading twice changes nothing, and order does
not matter. A source's messages are put together anew from all that was received about them, for the same reason.

``staged_events`` are new events; ``staged_messages`` has each message that they touch, or that is looked at once more,
exactly once. The platform's are read into one of two slots while what is in the other one is still being taken in.
"""

from pathlib import Path
from typing import Final
from uuid import uuid4

from duckdb import DuckDBPyConnection

from ringback.analytics.definitions import literal
from ringback.store.rows import NEXT_VALUE, RowStream, TextAnswer

MONEY: Final = "CAST(round(TRY_CAST(NULLIF({0}, '') AS DECIMAL(18, 8)) * 100000) AS BIGINT)"


PASSING: Final = "passing-"
"""How the names of files begin that are there for a moment only."""
_AS_IT_IS: Final = "auto_detect = false, header = false, new_line = '\\n', quote = '', escape = '', nullstr = '\x1e'"
_TYPES: Final = {"integer": "BIGINT", "text": "VARCHAR", "bytes": "BLOB"}


def uuid_of(made_from: str, expression: str) -> str:
    """Return SQL for an id as a UUID; where it is none, one that is made from something and the same at each time."""
    return f"coalesce(TRY_CAST(CAST({expression} AS VARCHAR) AS UUID), CAST(md5(CAST({made_from} AS VARCHAR)) AS UUID))"


def _id(expression: str) -> str:
    return uuid_of(expression, expression)


def text(name: str) -> str:
    """Return SQL for a text that may be missing."""
    return f"NULLIF({name}, '')"


def _time(name: str) -> str:
    return f"make_timestamp(NULLIF({name}, -1))"


_EVENTS: Final = f"""
SELECT
    CAST(id AS BIGINT) AS log_offset, 'ringback' AS origin, CAST(account_id AS VARCHAR) AS account_id,
    {_id("message_uuid")} AS message_uuid, CAST(sequence AS INTEGER) AS sequence, CAST(status AS VARCHAR) AS status,
    {text("flag")} AS flag, {text("error_code")} AS error_code, make_timestamp(at_us) AS "at",
    CAST(NULL AS BIGINT) AS lag_ms
FROM incoming
"""

_MESSAGES: Final = f"""
SELECT
    {_id("uuid")} AS message_uuid, CAST(NULL AS VARCHAR) AS provider_id, 'ringback' AS origin,
    CAST(account_id AS VARCHAR) AS account_id, direction, {text("type")} AS type,
    src, dst_prefix,
    {text("country")} AS country, {text("mcc")} AS mcc, {text("mnc")} AS mnc, {text("network")} AS network,
    {text("mcc")} || '-' || {text("mnc")} AS carrier, {text("connector")} AS connector, {text("route")} AS route,
    CAST(status AS VARCHAR) AS status, {text("error_code")} AS error_code, CAST(units AS INTEGER) AS units,
    units * ({MONEY.format("rate")} + coalesce({MONEY.format("carrier_fees_rate")}, 0)) AS cost,
    trackable <> 0 AS trackable, make_timestamp(queued_at_us) AS queued_at, {_time("sent_at_us")} AS sent_at,
    {_time("final_at_us")} AS final_at,
    NULLIF(lag_us, -1) // 1000 AS lag_ms, {text("split_part(said, '@', 1)")} AS conversion,
    make_timestamp(TRY_CAST(split_part(said, '@', 2) AS BIGINT)) AS converted_at
FROM incoming
"""

LATENCIES: Final = """
    CASE WHEN sent_at IS NOT NULL THEN greatest(epoch_us(sent_at) - epoch_us(queued_at), 0) // 1000 END AS queue_ms,
    CASE WHEN status = 'delivered' AND sent_at IS NOT NULL
        THEN greatest(epoch_us(final_at) - epoch_us(sent_at), 0) // 1000 END AS carrier_ms,
    CASE WHEN status = 'delivered' THEN greatest(epoch_us(final_at) - epoch_us(queued_at), 0) // 1000 END AS total_ms
"""

_CONVERSIONS: Final = f"""
SELECT
    {_id("message_uuid")} AS message_uuid, make_timestamp(arg_max(queued_at_us, id)) AS queued_at,
    CAST(arg_max(status, id) AS VARCHAR) AS conversion, make_timestamp(arg_max(converted_at_us, id)) AS converted_at
FROM incoming GROUP BY ALL
"""


def stage_events(con: DuckDBPyConnection, answer: TextAnswer, directory: Path, slot: int) -> None:
    """Put events of the platform's log into a slot; ``directory`` is where DuckDB may read."""
    _stage_text(con, f"TABLE staging.main.events_{slot}", answer, directory, _EVENTS)


def stage_no_events(con: DuckDBPyConnection, slot: int) -> None:
    """Have a slot without events, where messages are looked at once more."""
    con.execute(f"CREATE OR REPLACE TABLE staging.main.events_{slot} AS SELECT * FROM events LIMIT 0")


def stage_messages(con: DuckDBPyConnection, answer: TextAnswer, directory: Path, slot: int) -> None:
    """Put messages of the platform into a slot."""
    select = f"SELECT *, {LATENCIES}, 0 AS flagged FROM ({_MESSAGES})"
    _stage_text(con, f"TABLE staging.main.messages_{slot}", answer, directory, select)


def show(con: DuckDBPyConnection, slot: int) -> None:
    """Let what is in a slot be what is staged."""
    for kind in ("events", "messages"):
        con.execute(f"CREATE OR REPLACE TEMP VIEW staged_{kind} AS SELECT * FROM staging.main.{kind}_{slot}")


def empty(con: DuckDBPyConnection, slot: int) -> None:
    """Let go of what is in a slot."""
    for kind in ("events", "messages"):
        con.execute(f"DROP TABLE IF EXISTS staging.main.{kind}_{slot}")


def stage_conversions(con: DuckDBPyConnection, stream: RowStream) -> None:
    """Put what customers have said into ``staged_conversions``: the last word on each message."""
    stage(con, "TEMP TABLE staged_conversions", stream, _CONVERSIONS)


def stage(con: DuckDBPyConnection, table: str, stream: RowStream, select: str) -> None:
    """Make a table of what ``select`` gives of the stream, which it calls ``incoming``."""
    columns = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in stream.columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE incoming ({columns})")
    with con.appender("incoming") as appender:
        for rows in stream.portions():
            appender.append_rows(rows)
    con.execute(f"CREATE OR REPLACE {table} AS {select}")
    con.execute("DROP TABLE incoming")


def _stage_text(con: DuckDBPyConnection, table: str, answer: TextAnswer, directory: Path, select: str) -> None:
    """Do the same with an answer as a text: as a file it is read without an object for each value.

    The file is deleted at once, so hardly any of them is ever written to the disk.
    """
    path = directory / f"{PASSING}{uuid4().hex}"
    columns = ", ".join(f"'{name}': '{_TYPES[kind]}'" for name, kind in answer.columns)
    try:
        path.touch(mode=0o600)
        path.write_bytes(answer.text.encode())
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW incoming AS SELECT * FROM read_csv({literal(str(path))}, {_AS_IT_IS}, "
            f"delim = '{NEXT_VALUE}', columns = {{{columns}}})"
        )
        con.execute(f"CREATE OR REPLACE {table} AS {select}")
        con.execute("DROP VIEW incoming")
    finally:
        path.unlink(missing_ok=True)


def remove_left(directory: Path) -> None:
    """Delete what a process that was killed has left."""
    for path in directory.glob(f"{PASSING}*"):
        path.unlink(missing_ok=True)
