"""Two captures side by side: what one says that the other does not. Pure."""

from collections.abc import Sequence
from difflib import unified_diff
from typing import Any, Final

import msgspec

from ringback.inspector import bodies, exports
from ringback.store.captures import Capture

MAX_LINES: Final = 2_000


class Row(msgspec.Struct, frozen=True):
    """Something that both may say; ``None`` where one does not."""

    part: str
    name: str
    left: str | None
    right: str | None

    @property
    def is_same(self) -> bool:
        """Whether both say the same."""
        return self.left == self.right


def rows(left: Capture, right: Capture) -> list[Row]:
    """Return what the two say by parts, in the order in which the first one says it."""
    found = [
        Row("request", "Method", left.method, right.method),
        Row("request", "Path", left.path, right.path),
        Row("request", "Query", left.query, right.query),
        *_paired("header", exports.headers_of(left), exports.headers_of(right), fold=True),
    ]
    one, other = _fields(left), _fields(right)
    if one is not None and other is not None:
        found += _paired("field", one, other, fold=False)
    return found


def body_lines(left: Capture, right: Capture) -> list[str]:
    """Return the difference of two bodies by lines, as ``diff -u`` writes it; nothing where they are the same."""
    if left.body == right.body:
        return []
    before, after = (_lines(item) for item in (left, right))
    return list(unified_diff(before, after, f"#{left.number}", f"#{right.number}", lineterm=""))[:MAX_LINES]


def _lines(item: Capture) -> list[str]:
    if bodies.as_json(item.body[: bodies.SHOWN]) is not None:
        return bodies.pretty(item.body).splitlines()[:MAX_LINES]
    if exports.as_text(item.body[: bodies.SHOWN]) is None:
        return [" ".join(row) for row in bodies.hex_rows(item.body)]
    return item.body[: bodies.SHOWN].decode("utf-8", "replace").splitlines()[:MAX_LINES]


def _fields(item: Capture) -> list[tuple[str, str]] | None:
    form = bodies.as_form(item.body, exports.header(item, "content-type"))
    if form is not None:
        return form
    decoded = bodies.as_json(item.body[: bodies.SHOWN])
    return None if decoded is None else _flat("", decoded)


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = [(name, value)]
    found: list[tuple[str, str]] = []
    while waiting and len(found) < MAX_LINES:
        name, value = waiting.pop(0)
        if isinstance(value, dict) and value:
            waiting[:0] = [(f"{name}.{key}" if name else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list) and value:
            waiting[:0] = [(f"{name}[{at}]", inner) for at, inner in enumerate(value)]
        else:
            found.append((name, msgspec.json.encode(value).decode()))
    return found


def _paired(part: str, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]], *, fold: bool) -> list[Row]:
    """Pair values by name, the first with the first, the second with the second."""

    def named(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, int], tuple[str, str]]:
        seen: dict[str, int] = {}
        found = {}
        for name, value in pairs:
            key = name.lower() if fold else name
            found[key, seen.get(key, 0)] = (name, value)
            seen[key] = seen.get(key, 0) + 1
        return found

    one, other = named(left), named(right)
    return [
        Row(
            part,
            (one.get(key) or other[key])[0],
            one[key][1] if key in one else None,
            other[key][1] if key in other else None,
        )
        for key in dict.fromkeys([*one, *other])
    ]
