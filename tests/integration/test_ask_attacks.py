"""Questions of one's own that want more than to read: none gets a file, a setting, a change, or the process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.analytics.ask import let_through
from ringback.analytics.asked_functions import FUNCTIONS, TABLE_FUNCTIONS
from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import PAGE_LIMITS, Answer, Limits
from ringback.analytics.running import resident_mb
from ringback.analytics.tables import DDL
from ringback.model.errors import QuestionRefused, QuestionTooLong
from ringback.settings_analytics import AnalyticsSettings

SETTINGS = AnalyticsSettings(memory_mb=256)


@pytest.fixture(scope="module")
def catalogue() -> duckdb.DuckDBPyConnection:
    """A file's tables, without a file."""
    connection = duckdb.connect()
    connection.execute(DDL)
    return connection


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[DuckEngine]:
    async with DuckEngine(tmp_path, SETTINGS) as opened:
        yield opened


async def own(engine: DuckEngine, sql: str) -> Answer:
    return await engine.own(sql, account_id=None, limits=PAGE_LIMITS)


_WRITTEN = [
    # files and the network, by every name
    "SELECT * FROM 'FILE'",
    'SELECT * FROM "FILE"',
    "FROM 'FAR'",
    "SELECT * FROM 'analytics.duckdb'",
    "SELECT * FROM 'exports/*.csv'",
    "SELECT content FROM read_text('FILE')",
    "SELECT * FROM read_csv('FILE')",
    "SELECT * FROM read_csv_auto(['FILE'])",
    "SELECT * FROM main.read_csv('FILE')",
    "SELECT * FROM system.main.read_csv('FILE')",
    'SELECT * FROM "read_csv"(\'FILE\')',
    "SELECT * FROM READ_CSV('FILE')",
    "SELECT (SELECT content FROM read_text('FILE'))",
    "WITH a AS (SELECT * FROM read_text('FILE')) SELECT * FROM a",
    "WITH a AS MATERIALIZED (FROM read_blob('FILE')) FROM a",
    "SELECT * FROM messages WHERE src IN (SELECT content FROM read_text('FILE'))",
    "SELECT * FROM messages ORDER BY (SELECT content FROM read_text('FILE'))",
    "SELECT 1 LIMIT (SELECT count(*) FROM read_text('FILE'))",
    "SELECT 1 FROM messages GROUP BY (SELECT content FROM read_text('FILE'))",
    "SELECT 1 FROM messages QUALIFY row_number() OVER (ORDER BY (SELECT content FROM read_text('FILE'))) > 1",
    "SELECT sum(1) FILTER (WHERE (SELECT count(*) FROM read_text('FILE')) > 0)",
    "SELECT CASE WHEN true THEN (FROM read_text('FILE') SELECT content) END",
    "SELECT * FROM messages m, LATERAL (SELECT * FROM read_text('FILE')) t",
    "SELECT * FROM messages JOIN read_text('FILE') t ON true",
    "SELECT 1 UNION ALL SELECT content FROM read_text('FILE')",
    "VALUES ((SELECT content FROM read_text('FILE')))",
    "DESCRIBE SELECT * FROM read_csv('FILE')",
    "SUMMARIZE SELECT * FROM read_csv('FILE')",
    "SUMMARIZE 'FILE'",
    "DESCRIBE 'FILE'",
    "EXPLAIN SELECT * FROM read_csv('FILE')",
    "EXPLAIN ANALYZE SELECT * FROM read_csv('FILE')",
    "SELECT * FROM range((SELECT count(*) FROM read_text('FILE')))",
    "SELECT * FROM read_text('FILE') PIVOT (count(*) FOR filename IN ('a'))",
    "SELECT * FROM messages PIVOT (count(*) FOR status IN (SELECT content FROM read_text('FILE')))",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM read_duckdb('/tmp/x.duckdb')",
    "COPY messages TO 'FILE'",
    "COPY (SELECT 1) TO 'FILE'",
    "COPY messages FROM 'FILE'",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "ATTACH '/tmp/other.duckdb'",
    "ATTACH ':memory:' AS m",
    "DETACH analytics",
    "USE memory",
    # extensions, secrets, settings, environment
    "INSTALL httpfs",
    "LOAD httpfs",
    "INSTALL httpfs FROM community",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET GLOBAL memory_limit = '1TB'",
    "RESET memory_limit",
    "PRAGMA enable_external_access",
    "PRAGMA database_list",
    "PRAGMA version",
    "CALL pragma_version()",
    "CALL duckdb_settings()",
    "CREATE SECRET s (TYPE http)",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT current_setting('memory_limit')",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT current_query()",
    "SELECT current_database()",
    "SELECT version()",
    "SHOW DATABASES",
    "SHOW ALL TABLES",
    "SHOW VARIABLES",
    "SHOW memory_limit",
    # other SQL in a text
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('messages')",
    "SELECT * FROM query_table(['messages'])",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "PRAGMA json_execute_serialized_sql('{}')",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    # changes
    "DELETE FROM messages",
    "INSERT INTO meta VALUES ('shape', '9')",
    "UPDATE meta SET value = '9'",
    "TRUNCATE closed_messages",
    "MERGE INTO meta USING (SELECT 1) ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE events",
    "ALTER TABLE events ADD COLUMN x INT",
    "CREATE TABLE t (a INT)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE TEMP VIEW messages AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SEQUENCE s",
    "CREATE TYPE t AS ENUM ('a')",
    "COMMENT ON TABLE events IS 'x'",
    "ANALYZE",
    "VACUUM",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint('analytics')",
    "SELECT nextval('s')",
    "SELECT setval('s', 1)",
    "SELECT setseed(0.5)",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SELECT error('x')",
    "WITH a AS (DELETE FROM meta RETURNING *) SELECT * FROM a",
    # several statements, and words that hide them
    "SELECT 1; SELECT 2",
    "SELECT 1;;DROP TABLE events",
    "SELECT 1; -- ;\nSET memory_limit = '1GB'",
    "/* ; */ SET memory_limit = '1GB'",
    "-- SELECT\nSET memory_limit = '1GB'",
    "EXPLAIN SELECT 1; DROP TABLE events",
    "EXPLAIN DELETE FROM events",
    "EXPLAIN ANALYZE DELETE FROM events",
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    "EXPLAIN /* */ ANALYZE DELETE FROM events",
    "EXPLAIN (FORMAT json) DELETE FROM events",
    "EXPLAIN EXPLAIN DELETE FROM events",
    "EXPLAIN COPY messages TO '/tmp/x'",
    "",
    ";",
    "-- nothing",
    "SELECT 1\0; DROP TABLE events",
    # names that stand for others
    "SELECT * FROM main.messages",
    "SELECT * FROM analytics.main.messages",
    "SELECT * FROM analytics.messages",
    "SELECT * FROM temp.main.messages",
    "SELECT * FROM messages AT (VERSION => 1)",
    "WITH duckdb_tables AS (SELECT 1) SELECT * FROM (SELECT 1), duckdb_tables",
    "WITH pg_class AS (SELECT 1) SELECT * FROM pg_class",
    'WITH "x.csv" AS (SELECT 1) SELECT * FROM "x.csv"',
    "WITH events AS (SELECT 1) SELECT * FROM events",
    "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), b",
    "PIVOT messages ON status USING count(*)",
    "SELECT * FROM (PIVOT messages ON status USING count(*))",
    "SELECT 1::main.my_type",
    "SELECT main.abs(1)",
    "SELECT system.main.getenv('HOME')",
    "SELECT 'HOME'.getenv()",
    "SELECT list_transform(['HOME'], lambda x: getenv(x))",
    "SELECT [getenv(x) FOR x IN ['HOME']]",
    "SELECT list_aggregate([1], 'write_log')",
    "SELECT repeat('x', 1000000000)",
    "SELECT lpad('x', 1000000000)",
    "SELECT format('{:1000000000}', 1)",
    "SELECT range(1000000000)",
    "SELECT levenshtein('a', 'b')",
    "SELECT * FROM repeat('x', 1000000000)",
    "SELECT $1",
    "SELECT ?",
    "SELECT COLUMNS(lambda c: getenv(c) = '') FROM messages",
    "SELECT * REPLACE (getenv('HOME') AS src) FROM messages",
    "SELECT * FROM messages TABLESAMPLE reservoir(getenv('HOME') ROWS)",
    "SELECT count(*) OVER (ORDER BY src ROWS BETWEEN (SELECT 1 FROM glob('*')) PRECEDING AND CURRENT ROW) FROM events",
]  # fmt: skip
ATTACKS = [sql.replace("FILE", "/etc/passwd").replace("FAR", "https://example.com/x.parquet") for sql in _WRITTEN]


@pytest.mark.parametrize("sql", ATTACKS)
async def test_it_is_refused(engine: DuckEngine, sql: str) -> None:
    with pytest.raises(QuestionRefused):
        await own(engine, sql)
    assert (await own(engine, "SHOW TABLES")).rows


def test_it_is_refused_before_it_is_run(catalogue: duckdb.DuckDBPyConnection) -> None:
    """Where files could be read, as nothing is locked here, the checks alone refuse."""
    for sql in ATTACKS:
        with pytest.raises((QuestionRefused, duckdb.ParserException)):
            let_through(catalogue, sql)


def test_no_table_function_reaches_outside(catalogue: duckdb.DuckDBPyConnection) -> None:
    """Of all that DuckDB has, now and after an update, only three make rows."""
    kinds = "('table', 'table_macro', 'pragma')"
    names = catalogue.execute(
        f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN {kinds}"  # noqa: S608
    ).fetchall()
    allowed = set()
    for (name,) in names:
        with contextlib.suppress(QuestionRefused):
            let_through(catalogue, f"SELECT * FROM \"{name}\"('/etc/passwd')")  # noqa: S608
            allowed.add(name)
    assert len(names) > 100
    assert allowed == TABLE_FUNCTIONS


def test_functions_that_may_be_used_are_known_to_duckdb(catalogue: duckdb.DuckDBPyConnection) -> None:
    """A name that is none would be one that nobody has looked at, should DuckDB ever have it."""
    known = {
        name for (name,) in catalogue.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    }
    written = {"coalesce", "grouping", "grouping_id", "ifnull", "!"}
    assert not FUNCTIONS - known - written


def test_nothing_that_acts_may_be_used() -> None:
    for name in FUNCTIONS:
        for word in ("read_", "env", "setting", "secret", "query", "sleep", "copy", "write", "variable", "seq"):
            assert word not in name


def chained(form: str, first: str, times: int) -> str:
    sql = first
    for _ in range(times):
        sql = form.format(sql)
    return sql


TOO_MUCH = {
    "cross join": "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3",
    "recursion": "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "wide": "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n + 1 FROM t, range(100)) SELECT count(*) FROM t",
    "text": "SELECT string_agg(range::VARCHAR, ',') FROM range(1000000000)",
    "list": "SELECT list(range) FROM range(1000000000)",
    "groups": "SELECT hash(range), count(*) FROM range(1000000000) GROUP BY 1",
    "sort": "SELECT hash(range) FROM range(1000000000) ORDER BY 1",
    "window": "SELECT sum(range) OVER (ORDER BY hash(range)) FROM range(1000000000)",
    "histogram": "SELECT histogram(range) FROM range(1000000000)",
    "median": "SELECT median(range) OVER (ORDER BY range ROWS 100000 PRECEDING) FROM range(100000000)",
    "expression": "SELECT sum(sin(a.range) ^ 2) FROM range(100000) a, range(10000000) b",
    "like": "SELECT count(*) FROM range(1000000000) WHERE range::VARCHAR LIKE '%1%2%3%4%5%6%7%8%9%'",
    "pattern": "SELECT count(*) FROM range(1000000000) WHERE regexp_matches(range::VARCHAR, '(1*)*(2*)*(3*)*$')",
    "json": "SELECT string_agg(md5(a.range::VARCHAR), '') FROM range(100000000) a",
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_takes_too_much_is_ended_and_the_process_lives(engine: DuckEngine, name: str) -> None:
    # None of them would end by itself in this time.
    async with asyncio.timeout(60):
        with pytest.raises(QuestionTooLong):
            await engine.own(TOO_MUCH[name], account_id=None, limits=Limits(timeout_s=0.5, rows=10))
    assert (await own(engine, "SELECT 1")).rows == [(1,)]


async def test_a_value_that_doubles_is_ended_before_the_process_is_too_large(engine: DuckEngine) -> None:
    # max() needs every row: DuckDB may well answer with the first ten of a series without an end.
    doubling = "WITH RECURSIVE t AS (SELECT 'x' s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t"
    before_mb = resident_mb()
    with pytest.raises(QuestionTooLong, match="memory"):
        await engine.own(doubling, account_id=None, limits=Limits(timeout_s=60, rows=10))
    assert resident_mb() - before_mb < 4 * SETTINGS.memory_mb
    assert (await own(engine, "SELECT 1")).rows == [(1,)]


TOO_MANY_PARTS = {
    "copies": "WITH a0 AS (SELECT 1 x)"  # noqa: S608
    + "".join(f", a{n + 1} AS NOT MATERIALIZED (SELECT u.x FROM a{n} u, a{n} v)" for n in range(22))  # noqa: S608
    + " SELECT * FROM a22",
    "stars": chained("SELECT *, * FROM ({})", "SELECT 1 x", 18),
    "columns": chained("SELECT COLUMNS(*), COLUMNS(*) FROM ({})", "SELECT 1 x", 18),
    "rows of stars": chained("SELECT {{'a': COLUMNS(*)}}, * FROM ({})", "SELECT 1 x", 18),
    "tables": "SELECT 1 FROM " + ", ".join(["messages"] * 60),  # noqa: S608
    "union": " UNION ALL ".join(["SELECT * FROM messages"] * 60),
    "parentheses": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "plus": "SELECT 1" + "+1" * 5000,
    "lists": "SELECT " + "[" * 900 + "1" + "]" * 900,
    "not": "SELECT " + "NOT " * 3000 + "true",
    "subqueries": chained("SELECT * FROM ({})", "SELECT 1 x", 400),
    "long": "SELECT '" + "x" * 30_000 + "'",
}


@pytest.mark.parametrize("name", TOO_MANY_PARTS)
async def test_what_could_not_be_interrupted_is_refused(engine: DuckEngine, name: str) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(QuestionRefused):
            await own(engine, TOO_MANY_PARTS[name])
    assert (await own(engine, "SELECT 1")).rows == [(1,)]


# ---- what nobody thought of ----

WORDS = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "WITH",
        "AS",
        "(",
        ")",
        ",",
        ";",
        "*",
        "'",
        '"',
        "messages",
        "events",
        "a",
        "1",
        "--",
        "/*",
        "*/",
        "UNION_ALL",
        "EXPLAIN",
        "ANALYZE",
        "DESCRIBE",
        "COPY",
        "TO",
        "'/etc/passwd'",
        "read_text",
        "getenv",
        "query",
        "PIVOT",
        "ON",
        "FOR",
        "IN",
        "SET",
        "memory_limit",
        "=",
        "CREATE",
        "TABLE",
        "LATERAL",
        "JOIN",
        "main",
        ".",
        "::",
        "VALUES",
        "ATTACH",
        "::JSON",
        "COLUMNS",
        "lambda",
        "x:",
        "$$",
        "duckdb_settings",
        "range",
        "unnest",
        "[",
        "]",
    ]
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=st.lists(WORDS, max_size=14))
def test_what_is_let_through_only_reads(catalogue: duckdb.DuckDBPyConnection, words: list[str]) -> None:
    """Any words: refused, or of a kind that DuckDB itself says reads, without a word that acts outside of a text."""
    try:
        question = let_through(catalogue, " ".join(words))
    except (QuestionRefused, duckdb.Error):
        return
    kinds = {statement.type for statement in catalogue.extract_statements(question.sql)}
    assert kinds <= {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if question.is_explain:
        return
    try:
        names = catalogue.get_table_names(question.sql)
    except duckdb.Error:
        # Such as SELECT * from nowhere, or SELECT 1::unnest: DuckDB refuses it before anything is read.
        return
    assert names <= {"messages", "events", "open_messages", "closed_messages", "meta"}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(sql=st.text(max_size=60))
def test_any_text_is_refused_or_only_reads(catalogue: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        let_through(catalogue, sql)
    except (QuestionRefused, duckdb.Error):
        return
