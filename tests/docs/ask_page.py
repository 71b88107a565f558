"""Tables and examples of docs/ask.md, from the source; ``python -m tests.docs.ask_page`` renews them."""

from ringback.analytics.schema import EXAMPLES, TABLES
from tests.docs.documents import ROOT

PAGE = ROOT / "docs" / "ask.md"
_ALWAYS = {True: "; never NULL", False: ""}


def tables() -> str:
    """Return the tables and their columns in Markdown."""
    parts = []
    for table in TABLES:
        rows = "".join(
            f"| `{column.name}` | {column.type.lower()} | {column.meaning}{_ALWAYS[not column.may_be_null]} |\n"
            for column in table.columns
        )
        parts.append(
            f"\n### {table.name}\n\nIt has {table.meaning}.\n\n| Column | Type | Meaning |\n|---|---|---|\n{rows}"
        )
    return "".join(parts)


def examples() -> str:
    """Return the examples in Markdown."""
    return "".join(f"\n{name}:\n\n```sql\n{sql}\n```\n" for name, sql in EXAMPLES)


def renewed(text: str) -> str:
    """Return the page with what the source says now."""
    for name, content in (("tables", tables()), ("examples", examples())):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{content}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
