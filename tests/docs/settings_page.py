"""The tables of docs/settings.md, written from settings.py: ``python -m tests.docs.settings_page`` renews them."""

import ast
import itertools
import re
from typing import Any

import msgspec
from msgspec import inspect

from ringback.settings import (
    ENV_PREFIX,
    CarrierSettings,
    ForwardSettings,
    RouteSettings,
    Settings,
    SourceSettings,
)
from tests.docs.documents import ROOT, SOURCE

PAGE = ROOT / "docs" / "settings.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
_MANY = {"sources": SourceSettings, "carriers": CarrierSettings, "routes": RouteSettings}
_LISTED = ("carriers", "routes")
"""Groups of which a file has several, and the environment none."""
HEAD = "| Setting | Type | Default | Meaning | Environment variable |\n|---|---|---|---|---|\n"


def tables() -> str:
    """Render every group."""
    meanings = _meanings()
    fields = msgspec.structs.fields(Settings)
    parts = []
    for field in fields:
        kind = _MANY.get(field.name, field.type)
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            continue
        group = "sources.NAME" if field.name == "sources" else field.name
        shown = f"[[{group}]]" if field.name in _LISTED else f"[{group}]"
        parts.append(f"### `{shown}`\n\n{meanings[kind.__name__]}\n\n{HEAD}")
        parts += [_row(group, item, meanings) for item in inspect.type_info(kind).fields]  # type: ignore[attr-defined]
        parts.append("\n")
        if kind is SourceSettings:
            group = "sources.NAME.forward.NAME"
            parts.append(f"### `[{group}]`\n\n{meanings['ForwardSettings']}\n\n{HEAD}")
            parts += [_row(group, item, meanings) for item in inspect.type_info(ForwardSettings).fields]  # type: ignore[attr-defined]
            parts.append("\n")
    alone = [item for item in inspect.type_info(Settings).fields if isinstance(item.type, inspect.FloatType)]  # type: ignore[attr-defined]
    parts.append(f"### Without a group\n\nThese stand at the top of the file, before the first group.\n\n{HEAD}")
    parts += [_row("", item, meanings) for item in alone]
    return "".join(parts)


def documented(page: str) -> str:
    """Return what a page has between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip("\n")


def _row(group: str, field: inspect.Field, meanings: dict[str, str]) -> str:
    owners = {
        "": "Settings",
        "sources.NAME": "SourceSettings",
        "sources.NAME.forward.NAME": "ForwardSettings",
        "carriers": "CarrierSettings",
        "routes": "RouteSettings",
        "smpp_server": "SmppServerSettings",
    }
    owner = owners.get(group, f"{group.capitalize()}Settings")
    path = [*group.upper().split("."), field.name.upper()] if group else [field.name.upper()]
    variable = "none" if group in _LISTED else f"`{ENV_PREFIX}{'__'.join(path)}`"
    meaning = meanings[f"{owner}.{field.name}"]
    return f"| `{field.name}` | {_kind(field.type)} | {_default(field.default)} | {meaning} | {variable} |\n"


def _kind(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            words = "`true` or `false`"
        case inspect.StrType(pattern=pattern):
            words = "text" if pattern is None else "decimal number as text"
        case inspect.IntType(ge=least, le=most):
            words = f"whole number{_bounds(least, most)}"
        case inspect.FloatType(gt=0, le=most):
            words = f"number above 0, at most {most:,}"
        case inspect.FloatType(ge=0, le=most):
            words = f"number, 0 to {most:,}"
        case inspect.VarTupleType(item_type=item):
            words = f"list of: {_kind(item)}"
        case inspect.UnionType(types=(item, inspect.NoneType())):
            words = _kind(item)
        case inspect.LiteralType(values=values):
            words = ", ".join(f"`{value}`" for value in values)
        case inspect.DictType() | inspect.CustomType():
            words = "table" if isinstance(kind, inspect.DictType) else "path"
        case _:
            raise TypeError(f"no words for {kind}")
    return words


def _bounds(least: Any, most: Any) -> str:
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    return "" if least is None else f", at least {least:,}"


def _default(value: Any) -> str:
    if value is msgspec.NODEFAULT or value is None or value in ("", ()):
        return "none"
    if value is msgspec.NODEFAULT:
        return "must be given"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(item if isinstance(item, str) else f'{item:g}' for item in value)}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _meanings() -> dict[str, str]:
    """Read the docstrings of classes and of the fields under them."""
    found: dict[str, str] = {}
    bodies = [ast.parse(path.read_text()).body for path in sorted(SOURCE.glob("settings*.py"))]
    for owner in itertools.chain.from_iterable(bodies):
        if not isinstance(owner, ast.ClassDef):
            continue
        found[owner.name] = _plain(ast.get_docstring(owner) or "")
        name = ""
        for statement in owner.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    pass
                case ast.Expr(value=ast.Constant(value=str(text))) if name:
                    found[f"{owner.name}.{name}"] = _plain(text)
    return found


def _plain(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))


def main() -> None:
    """Rewrite the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
