"""Staging (``staging``) of what sources' callbacks say: a message is put together from all that was received about it.

A source's messages are in no table: there are only the callbacks, some of them twice, late or out of order. So each
message that a new one is about is made anew from all of them. The first to arrive says when it was queued, the one that
is furthest along what has become of it; of two that exclude each other the first.

Times are those at which callbacks arrived, unless the provider's own time is known, which is what ``Reader`` finds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from duckdb import DuckDBPyConnection

from ringback.analytics.staging import LATENCIES, MONEY, stage, text, uuid_of
from ringback.model import numbers
from ringback.model.vocabulary import RANK, THEIRS, Word
from ringback.store.rows import RowStream

Reader = Callable[[str, str, str, str, bytes], int | None]
"""Gives the provider's own time, UTC microseconds, of what a request of a source says: source, method, target, headers
as they are stored, body."""


class Sources(msgspec.Struct, frozen=True):
    """What is known of the sources."""

    accounts: Mapping[str, str]
    """Auth id of the account that each is of."""
    time_of: Reader


NO_SOURCES: Final = Sources({}, lambda *_: None)

_OURS: Final[Mapping[Word, str]] = {
    Word.ACCEPTED: "queued",
    Word.QUEUED: "queued",
    Word.SENT: "sent",
    Word.DELIVERED: "delivered",
    Word.READ: "delivered",
    Word.UNDELIVERED: "undelivered",
    Word.FAILED: "failed",
    Word.REJECTED: "failed",
    Word.RECEIVED: "received",
}
"""The six words of the analytics; what nobody knows counts as queued, the least that can be said of a message."""

_WORDS: Final = ", ".join(
    f"('{theirs}', '{_OURS.get(word, 'queued')}', {RANK[word]})" for theirs, word in THEIRS.items()
)

_FACTS: Final = f"""
SELECT
    CAST(r.source AS VARCHAR) AS origin, CAST(r.message_uuid AS VARCHAR) AS provider_id,
    {uuid_of("r.source || ' ' || r.message_uuid", "r.message_uuid")} AS message_uuid,
    coalesce(w.ours, 'queued') AS status, coalesce(w.rank, 0) AS rank, {text("r.flag")} AS flag,
    NULLIF(r.sequence, -1) AS sequence, CAST(r.from_number AS VARCHAR) AS from_number,
    CAST(r.to_number AS VARCHAR) AS to_number, {text("r.error_code")} AS error_code, {text("r.mcc")} AS mcc,
    {text("r.mnc")} AS mnc, NULLIF(r.units, -1) AS units, {MONEY.format("CAST(r.total_amount AS VARCHAR)")} AS cost,
    make_timestamp(r.received_at_us) AS received_at, CAST(r.request_id AS VARCHAR) AS request_id,
    coalesce(a.account_id, '') AS account_id,
    make_timestamp(coalesce(NULLIF(t.at_us, -1), r.received_at_us)) AS "at",
    CASE WHEN t.at_us <> -1 THEN (r.received_at_us - t.at_us) // 1000 END AS lag_ms
    {{more}}
FROM incoming r
LEFT JOIN (VALUES {_WORDS}) w(theirs, ours, rank) ON w.theirs = lower(CAST(r.status AS VARCHAR))
LEFT JOIN source_accounts a ON a.source = r.source
LEFT JOIN provider_times t ON t.request_id = r.request_id
"""

_EVENTS: Final = f"""
SELECT
    CAST(log_offset AS BIGINT) AS log_offset, origin, account_id, message_uuid, CAST(sequence AS INTEGER) AS sequence,
    status, NULLIF(flag, 'reconciled') AS flag, error_code, "at", lag_ms
FROM ({_FACTS.format(more=", r.position AS log_offset")})
"""

_MESSAGES: Final = f"""
SELECT *, {LATENCIES} FROM (
    SELECT
        message_uuid, first(provider_id) AS provider_id, origin, first(account_id) AS account_id,
        CASE WHEN bool_or(status = 'received') THEN 'inbound' ELSE 'outbound' END AS direction,
        CAST(NULL AS VARCHAR) AS type, arg_min(from_number, received_at) AS from_number,
        arg_min(to_number, received_at) AS to_number,
        arg_min(mcc, received_at) AS mcc, arg_min(mnc, received_at) AS mnc, CAST(NULL AS VARCHAR) AS network,
        CAST(NULL AS VARCHAR) AS connector, CAST(NULL AS VARCHAR) AS route,
        arg_min(status, (-rank, received_at, request_id)) AS status,
        arg_min(error_code, (-rank, received_at, request_id)) AS error_code,
        CAST(arg_max(units, (received_at, request_id)) AS INTEGER) AS units,
        arg_max(cost, (received_at, request_id)) AS cost, CAST(NULL AS BOOLEAN) AS trackable,
        min("at") AS queued_at, min("at") FILTER (WHERE status = 'sent') AS sent_at,
        min("at") FILTER (WHERE status IN ('delivered', 'undelivered', 'failed')) AS final_at,
        max(lag_ms) AS lag_ms, CAST(count(*) FILTER (WHERE flag <> 'reconciled') AS INTEGER) AS flagged,
        CAST(NULL AS VARCHAR) AS conversion, CAST(NULL AS TIMESTAMP) AS converted_at
    FROM ({_FACTS.format(more="")}) GROUP BY message_uuid, origin
)
"""

_SHOWN: Final = """
SELECT
    m.* EXCLUDE (from_number, to_number), c.country, m.mcc || '-' || m.mnc AS carrier,
    CASE WHEN m.direction = 'inbound' THEN left(m.from_number, greatest(length(m.from_number) - 4, 0))
        ELSE m.from_number END AS src,
    left(m.to_number, greatest(length(m.to_number) - 4, 0)) AS dst_prefix
FROM received_messages m LEFT JOIN prefix_countries c
    ON c.prefix = left(m.to_number, 7) AND c.digits = length(m.to_number)
"""


def stage_accounts(con: DuckDBPyConnection, accounts: Mapping[str, str]) -> None:
    """Say whose each source is."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE source_accounts AS "
        "SELECT unnest(CAST(? AS VARCHAR[])) AS source, unnest(CAST(? AS VARCHAR[])) AS account_id",
        [list(accounts), list(accounts.values())],
    )


def stage_times(con: DuckDBPyConnection, stream: RowStream, read: Reader) -> None:
    """Find out the provider's times of requests: source, id, method, target, headers and body of each."""
    rows = [row for portion in stream.portions() for row in portion]
    times = [read(*row[1:]) for row in rows]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE provider_times AS "
        "SELECT unnest(CAST(? AS VARCHAR[])) AS request_id, unnest(CAST(? AS BIGINT[])) AS at_us",
        [[row[0] for row in rows], [-1 if at_us is None else at_us for at_us in times]],
    )


def stage_received_events(con: DuckDBPyConnection, stream: RowStream) -> None:
    """Put received events into ``staged_events``."""
    stage(con, "TEMP TABLE staged_events", stream, _EVENTS)


def stage_received_messages(con: DuckDBPyConnection, stream: RowStream) -> None:
    """Put the messages that they are of into ``staged_messages``."""
    stage(con, "TEMP TABLE received_messages", stream, _MESSAGES)
    rows = con.execute("SELECT DISTINCT left(to_number, 7), length(to_number) FROM received_messages").fetchall()
    con.execute(
        "CREATE OR REPLACE TEMP TABLE prefix_countries AS SELECT unnest(CAST(? AS VARCHAR[])) AS prefix, "
        "unnest(CAST(? AS INTEGER[])) AS digits, unnest(CAST(? AS VARCHAR[])) AS country",
        [[row[0] for row in rows], [row[1] for row in rows], _countries(rows)],
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE staged_messages AS {_SHOWN}")


def _countries(rows: Sequence[tuple[Any, ...]]) -> list[str | None]:
    return [
        numbers.country(prefix.ljust(digits, "0")) or None if prefix.isascii() and prefix.isdigit() else None
        for prefix, digits in rows
    ]
