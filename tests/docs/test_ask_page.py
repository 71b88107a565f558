"""docs/ask.md names the tables, columns and examples that there are."""

import duckdb

from ringback.analytics.schema import TABLES
from ringback.analytics.tables import DDL
from tests.docs import ask_page


def test_the_page_is_up_to_date() -> None:
    text = ask_page.PAGE.read_text()
    assert ask_page.renewed(text) == text, "renew it: python -m tests.docs.ask_page"


def test_every_column_is_told_with_its_type_and_meaning() -> None:
    connection = duckdb.connect()
    connection.execute(DDL)
    for table in TABLES:
        described = connection.execute(f"DESCRIBE {table.name}").fetchall()
        assert [(column.name, column.type) for column in table.columns] == [row[:2] for row in described]
        assert all(column.meaning for column in table.columns)
