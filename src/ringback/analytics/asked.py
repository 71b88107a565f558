"""What somebody's own question may do: read tables of the analytics, and compute. Everything else is refused.

DuckDB says how it understands a question (``json_serialize_sql``), and this looks at every node of that. It is a list
of what is allowed, so that what a later DuckDB learns is refused until somebody has looked at it: kinds of nodes,
names of tables, and functions that neither reach outside nor make large things of small ones.
"""

import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from math import prod
from typing import Any, Final

import msgspec

from ringback.analytics.asked_functions import FUNCTIONS, TABLE_FUNCTIONS
from ringback.model.errors import QuestionRefused

LONGEST: Final = 20_000
"""Characters of a question."""
_MOST_TABLES: Final = 50
_MOST_COPIES: Final = 64
"""How many times over a question may have its parts repeated by DuckDB, which plans them one by one and cannot be
interrupted meanwhile."""
_NOWHERE: Final = 2**63
_CTE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")

_EXPRESSIONS: Final = frozenset(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR POSITIONAL_REFERENCE STAR
    SUBQUERY TYPE WINDOW
    """.split()  # noqa: SIM905 - a table of words
)
_TABLES: Final = frozenset(
    """
    BASE_TABLE EMPTY EXPRESSION_LIST JOIN PIVOT SHOW_REF SUBQUERY TABLE_FUNCTION
    """.split()  # noqa: SIM905
)
_NODES: Final = _TABLES | frozenset(
    """
    SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE
    ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING
    """.split()  # noqa: SIM905
)


class Seen(msgspec.Struct, frozen=True):
    """What a question that was let through reads."""

    names: frozenset[str]
    """In small letters; the columns that it reads are among them."""
    has_star: bool
    """Whether it reads columns that it does not name."""


def looked_at(sql: str, tree: Any, *, tables: AbstractSet[str], taken: AbstractSet[str]) -> Seen:
    """Let a question through that only reads ``tables``; raise ``QuestionRefused`` for any other.

    ``tree`` is how DuckDB understands it, and ``taken`` are all names (small letters) that mean a table to it.
    """
    return _Look(sql, tables, taken).at(tree)


def pointed(sql: str, offset: int) -> str:
    """Show a place of the question as DuckDB does: its line, and a mark below it."""
    before = sql.encode()[:offset].decode(errors="ignore")
    number, start = before.count("\n") + 1, before.rfind("\n") + 1
    lead = f"LINE {number}: "
    return f"{lead}{sql[start:].partition(chr(10))[0]}\n{' ' * (len(lead) + len(before) - start)}^"


def placed(error: str) -> tuple[str, str]:
    """Return an error's words and, where it has them, the line and the mark below it."""
    words, _, place = error.partition("\n\n")
    return words, place


class _Look:
    def __init__(self, sql: str, tables: AbstractSet[str], taken: AbstractSet[str]) -> None:
        self._sql = sql
        self._tables = tables
        self._taken = taken
        self._ctes: set[str] = set()
        self._reads: Counter[str] = Counter()
        self._parts = 0
        self._copies = [1]
        self._names: set[str] = set()
        self._has_star = False

    def at(self, tree: Any) -> Seen:
        nodes = list(_nodes(tree))
        for node in nodes:
            self._name_ctes(node)
        for node in nodes:
            self._node(node)
        copies = prod(self._copies) * prod(count for name, count in self._reads.items() if name in self._ctes)
        if self._parts > _MOST_TABLES or copies > _MOST_COPIES:
            raise QuestionRefused("The question has too many parts made of each other. Ask for less at a time.")
        return Seen(frozenset(self._names), self._has_star)

    def _name_ctes(self, node: dict[str, Any]) -> None:
        """Refuse a name that means a table: it would mean that one wherever the question's own is out of sight."""
        for entry in node.get("cte_map", {}).get("map", ()):
            name = entry["key"]
            if not _CTE_NAME.match(name) or name.lower() in self._taken:
                raise QuestionRefused(f'WITH cannot give the name "{name}" here: choose another.')
            self._ctes.add(name.lower())

    def _node(self, node: dict[str, Any]) -> None:
        expression, kind = node.get("class"), node.get("type")
        if expression is not None:
            if expression not in _EXPRESSIONS:
                raise self._refusal(f"{_spoken(expression)} is not possible here.", node)
            self._expression(expression, node)
        elif isinstance(kind, str):
            if kind not in _NODES:
                raise self._refusal(f"{_spoken(kind)} is not possible here.", node)
            self._part(kind, node)

    def _expression(self, kind: str, node: dict[str, Any]) -> None:
        if kind in {"FUNCTION", "WINDOW"}:
            self._function(node, FUNCTIONS)
        elif kind == "TYPE":
            self._unqualified(node)
        elif kind == "COLUMN_REF":
            self._names.update(name.lower() for name in node["column_names"])
        elif kind == "STAR":
            self._has_star = True

    def _part(self, kind: str, node: dict[str, Any]) -> None:
        self._parts += kind in _TABLES
        if kind == "BASE_TABLE":
            self._table(node)
        elif kind == "TABLE_FUNCTION":
            self._function(node["function"], TABLE_FUNCTIONS)
        elif kind == "SHOW_REF" and node["query"] is None and node["table_name"] != '"tables"':
            raise self._refusal("SHOW knows TABLES here, and DESCRIBE the columns of one.", node)
        elif kind == "SELECT_NODE":
            self._copies.append(max(1, sum(_has_star(each) for each in node["select_list"])))

    def _table(self, node: dict[str, Any]) -> None:
        self._unqualified(node)
        name = node["table_name"].lower()
        if name not in self._tables and name not in self._ctes:
            there = ", ".join(sorted(self._tables))
            raise self._refusal(f'There is no table "{node["table_name"]}". There are: {there}.', node)
        if node["at_clause"] is not None:
            raise self._refusal("AT of a table is not possible here.", node)
        self._reads[name] += 1

    def _function(self, node: dict[str, Any], allowed: AbstractSet[str]) -> None:
        self._unqualified(node)
        if node["function_name"].lower() not in allowed:
            raise self._refusal(f"The function {node['function_name']} is not possible here.", node)

    def _unqualified(self, node: dict[str, Any]) -> None:
        path = node["qualified_name"]["path"]
        if len(path) > 1 or node.get("schema") or node.get("catalog"):
            raise self._refusal(f"{'.'.join(path)}: tables and functions have one name here, without a schema.", node)

    def _refusal(self, text: str, node: dict[str, Any]) -> QuestionRefused:
        at = node.get("query_location", _NOWHERE)
        return QuestionRefused(text if at >= _NOWHERE else f"{text}\n\n{pointed(self._sql, at)}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Return all objects in the tree, but for the function of a table function, which is looked at with that."""
    left = [tree]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            yield each
            is_table_function = "class" not in each and each.get("type") == "TABLE_FUNCTION"
            for name, value in each.items():
                left.append(value["arguments"] if is_table_function and name == "function" else value)


def _has_star(expression: dict[str, Any]) -> bool:
    return any(node.get("class") == "STAR" for node in _nodes(expression))


def _spoken(kind: str) -> str:
    return kind.removesuffix("_REF").removesuffix("_NODE").replace("_", " ")
