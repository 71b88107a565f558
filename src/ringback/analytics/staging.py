"""From columns as the store has them to rows as the analytics file has them, in temporary tables of a transaction.

The platform's messages come as they stand now, not as the event at hand left them: a message that has moved on
meanwhile has further events in the log, and is read again with them. So reading twice changes nothing, and order does
not matter. A source's messages are put together anew from all that was received about them, for the same reason.

``staged_events`` are new events; ``staged_messages`` has each message that they touch, or that is looked at once more,
exactly once.
"""

from typing import Final

from duckdb import DuckDBPyConnection

from ringback.store.columns import ColumnStream

_UUID: Final = "coalesce(TRY_CAST({0} AS UUID), CAST(md5({0}) AS UUID))"
"""Ids of other systems may be none: then one is made that is the same at each time."""
_MONEY: Final = "CAST(round(TRY_CAST(NULLIF({0}, '') AS DECIMAL(18, 8)) * 100000) AS BIGINT)"


def _id(expression: str) -> str:
    return _UUID.format(f"CAST({expression} AS VARCHAR)")


def _text(name: str) -> str:
    # The driver calls an answer without rows whole numbers, whatever was asked for.
    return f"NULLIF(CAST({name} AS VARCHAR), '')"


def _time(name: str) -> str:
    return f"make_timestamp(NULLIF({name}, -1))"


def _prefix(number: str, is_hidden: str) -> str:
    # Where nobody may learn the number not even what is left of it without its last four digits.
    return f"CASE WHEN {is_hidden} THEN left({number}, 3) ELSE left({number}, greatest(length({number}) - 4, 0)) END"


_HIDDEN: Final = "log IN ('false', 'content_only')"

_EVENTS: Final = f"""
SELECT
    CAST(id AS BIGINT) AS log_offset, 'ringback' AS origin, CAST(account_id AS VARCHAR) AS account_id,
    {_id("message_uuid")} AS message_uuid, CAST(sequence AS INTEGER) AS sequence, CAST(status AS VARCHAR) AS status,
    {_text("flag")} AS flag, {_text("error_code")} AS error_code, make_timestamp(at_us) AS "at",
    CAST(NULL AS BIGINT) AS lag_ms
FROM incoming
"""

_MESSAGES: Final = f"""
SELECT
    {_id("uuid")} AS message_uuid, CAST(NULL AS VARCHAR) AS provider_id, 'ringback' AS origin,
    CAST(account_id AS VARCHAR) AS account_id, direction, {_text("type")} AS type,
    CASE WHEN direction = 'inbound' THEN {_prefix("src", _HIDDEN)} ELSE src END AS src,
    {_prefix("dst", f"direction = 'outbound' AND {_HIDDEN}")} AS dst_prefix,
    {_text("country")} AS country, {_text("mcc")} AS mcc, {_text("mnc")} AS mnc, {_text("network")} AS network,
    {_text("mcc")} || '-' || {_text("mnc")} AS carrier, {_text("connector")} AS connector, {_text("route")} AS route,
    CAST(status AS VARCHAR) AS status, {_text("error_code")} AS error_code, CAST(units AS INTEGER) AS units,
    units * ({_MONEY.format("rate")} + coalesce({_MONEY.format("carrier_fees_rate")}, 0)) AS cost,
    trackable <> 0 AS trackable, make_timestamp(queued_at_us) AS queued_at, {_time("sent_at_us")} AS sent_at,
    {_time("final_at_us")} AS final_at,
    NULLIF(lag_us, -1) // 1000 AS lag_ms, {_text("split_part(said, '@', 1)")} AS conversion,
    make_timestamp(TRY_CAST(split_part(said, '@', 2) AS BIGINT)) AS converted_at
FROM (SELECT * REPLACE (
    CAST(src AS VARCHAR) AS src, CAST(dst AS VARCHAR) AS dst, CAST(log AS VARCHAR) AS log,
    CAST(direction AS VARCHAR) AS direction, CAST(rate AS VARCHAR) AS rate, CAST(said AS VARCHAR) AS said,
    CAST(carrier_fees_rate AS VARCHAR) AS carrier_fees_rate
) FROM incoming)
"""

_LATENCIES: Final = """
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


def stage_events(con: DuckDBPyConnection, stream: ColumnStream) -> None:
    """Put events of the platform's log into ``staged_events``."""
    _stage(con, "staged_events", stream, _EVENTS)


def stage_no_events(con: DuckDBPyConnection) -> None:
    """Have an empty ``staged_events``, where messages are looked at once more."""
    con.execute("CREATE OR REPLACE TEMP TABLE staged_events AS SELECT * FROM events LIMIT 0")


def stage_messages(con: DuckDBPyConnection, stream: ColumnStream) -> None:
    """Put messages of the platform into ``staged_messages``."""
    _stage(con, "staged_messages", stream, f"SELECT *, {_LATENCIES}, 0 AS flagged FROM ({_MESSAGES})")


def stage_conversions(con: DuckDBPyConnection, stream: ColumnStream) -> None:
    """Put what customers have said into ``staged_conversions``: the last word on each message."""
    _stage(con, "staged_conversions", stream, _CONVERSIONS)


def _stage(con: DuckDBPyConnection, table: str, stream: ColumnStream, select: str) -> None:
    con.register("incoming", stream)
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}")
    finally:
        con.unregister("incoming")
