"""Somebody's own question: one SELECT, WITH, DESCRIBE, SUMMARIZE, SHOW TABLES or EXPLAIN of such, and nothing else."""

import json
import re
from typing import Any, Final

import duckdb
import msgspec
from duckdb import DuckDBPyConnection

from ringback.analytics.asked import LONGEST, Seen, looked_at
from ringback.analytics.exports import first_rows
from ringback.model.errors import QuestionRefused

_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
_ONE: Final = "One question at a time: a single SELECT (or WITH, DESCRIBE, SUMMARIZE, EXPLAIN)."
_PIVOT: Final = "PIVOT has to name its values: FROM messages PIVOT (count(*) FOR status IN ('sent', 'delivered'))."
_OURS: Final = """
SELECT lower(table_name) FROM duckdb_tables() WHERE NOT internal AND database_name = current_database()
UNION SELECT lower(view_name) FROM duckdb_views() WHERE NOT internal AND database_name = current_database()
"""
_TAKEN: Final = "SELECT lower(table_name) FROM duckdb_tables() UNION SELECT lower(view_name) FROM duckdb_views()"


class Question(msgspec.Struct, frozen=True):
    """One that was let through."""

    sql: str
    """One statement, without the ``;`` at its end."""
    seen: Seen
    is_explain: bool


def let_through(cursor: DuckDBPyConnection, sql: str) -> Question:
    """Read a question and refuse what it may not.

    Raises ``QuestionRefused``, or DuckDB's error when it is no SQL; both say where.
    """
    if len(sql) > LONGEST:
        raise QuestionRefused(f"The question has {len(sql)} characters; {LONGEST} are possible.")
    if "\0" in sql:
        raise QuestionRefused("The question has a character that is none.")
    statement = _only(cursor, sql)
    explained = _EXPLAIN.match(statement) if statement[:1].isalpha() else None
    asked = statement[explained.end() :] if explained else statement
    tables, taken = _names(cursor, _OURS), _names(cursor, _TAKEN)
    seen = looked_at(asked, _understood(cursor, asked), tables=tables, taken=taken)
    return Question(statement, seen, explained is not None)


def _only(cursor: DuckDBPyConnection, sql: str) -> str:
    """Return the one statement, which DuckDB says reads only by its kind."""
    statements = cursor.extract_statements(sql)
    if len(statements) != 1:
        raise QuestionRefused(_ONE)
    statement = statements[0]
    kind = _kind(statement)
    if kind == "MULTI":
        raise QuestionRefused(_PIVOT)
    if kind not in {"SELECT", "EXPLAIN"}:
        raise QuestionRefused(f"{kind} is not possible here. {_ONE}")
    if statement.named_parameters:
        raise QuestionRefused("There is nothing to put in for parameters: write the values themselves.")
    return str(statement.query).strip().rstrip(";").rstrip()


def _kind(statement: duckdb.Statement) -> str:
    try:
        return statement.type.name
    except ValueError:  # DuckDB knows kinds that its Python package has no name for
        return "This"


def _understood(cursor: DuckDBPyConnection, sql: str) -> Any:
    told = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    try:
        tree = json.loads(told)
    except RecursionError as e:
        raise QuestionRefused("The question is nested too deep.") from e
    if tree["error"] or len(tree["statements"]) != 1:
        raise QuestionRefused(_ONE)
    return tree["statements"]


def _names(cursor: DuckDBPyConnection, sql: str) -> frozenset[str]:
    return frozenset(row[0] for row in cursor.execute(sql).fetchall())


def asked_rows(question: Question, rows: int) -> str:
    """Return SQL for so many rows of it, as part of another statement. An EXPLAIN has none to give."""
    if question.is_explain:
        raise QuestionRefused("What EXPLAIN says cannot be exported.")
    return first_rows(question.sql, rows)
