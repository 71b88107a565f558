"""What the requests to a bin have in common: fields, their types, and how often each was there. Pure.

Each part of a request, query, form and JSON body, has a schema of its own, as JSON Schema has it (draft 2020-12). What
senders wrote is not in it, but for values that look like words of a vocabulary: few, short, and each seen repeatedly.
Other fields have an example whose letters and digits are replaced.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from ringback.inspector import bodies
from ringback.inspector.exports import header
from ringback.store.captures import Capture

Part = Literal["query", "form", "json"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MOST_FIELDS: Final = 300
MOST_DEPTH: Final = 12
MOST_ITEMS: Final = 100
"""Elements of one list that are looked at."""
MOST_WORDS: Final = 6
WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
LEAST_SEEN: Final = 2
"""How often each value has to have been there before values count as words."""
EXAMPLE_SHOWN: Final = 40

_PATTERNS: Final[tuple[tuple[str, re.Pattern[str], Mapping[str, str]], ...]] = (
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), {"format": "uuid"}),
    ("phone number", re.compile(r"\+?[1-9][0-9]{9,14}", re.ASCII), {"pattern": "^\\+?[0-9]+$"}),
    ("whole number", re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII), {"pattern": "^-?[0-9]+$"}),
    ("digits", re.compile(r"[0-9]+", re.ASCII), {"pattern": "^[0-9]+$"}),
    ("decimal number", re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII), {"pattern": "^-?[0-9]+(\\.[0-9]+)?$"}),
    (
        "time",
        re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII),
        {"pattern": "^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d"},
    ),
    ("URL", re.compile(r"https?://\S+"), {"format": "uri"}),
)
"""Kinds of text, the narrowest first; a field is of the first that all its values are."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field, for people."""

    name: str
    """``a.b[]`` for a field of the elements of a list."""
    kind: str
    seen: int
    of: int
    words: tuple[str, ...] = ()
    example: str = ""


class PartSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of requests is like."""

    part: Part
    captures: int
    """How many had that part."""
    schema: dict[str, Any]
    fields: Sequence[Field]


def infer(items: Iterable[Capture]) -> list[PartSchema]:
    """Infer what each part of captures is like; those that none has are left out."""
    seen: dict[Part, _Shape] = {"query": _Shape(), "form": _Shape(), "json": _Shape()}
    for item in items:
        for part, value in _parts(item):
            seen[part].add(value)
    return [_part(part, shape) for part, shape in seen.items() if shape.count]


def _parts(item: Capture) -> Iterable[tuple[Part, Any]]:
    if item.query:
        try:
            pairs = parse_qsl(item.query, keep_blank_values=True, max_num_fields=bodies.MAX_FIELDS)
        except ValueError:
            pairs = []
        yield "query", _grouped(pairs)
    if item.cut or not item.body:
        return
    if form := bodies.as_form(item.body, header(item, "content-type")):
        yield "form", _grouped(form)
    elif (content := bodies.as_json(item.body)) is not None:
        yield "json", content


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return parameters by name; those that come several times are lists."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


class _Shape:
    """What has been seen at one place."""

    def __init__(self) -> None:
        self.count = 0
        self.types: Counter[str] = Counter()
        self.texts: Counter[str] = Counter()
        self.kinds: set[int] | None = None
        self.example: Any = None
        self.members: dict[str, _Shape] = {}
        self.items: _Shape | None = None

    def add(self, value: Any, depth: int = 0) -> None:
        self.count += 1
        kind = _type(value)
        self.types[kind] += 1
        if kind == "object":
            for name, member in value.items():
                shape = self.members.get(name)
                if shape is None:
                    if len(self.members) >= MOST_FIELDS or depth >= MOST_DEPTH:
                        continue
                    shape = self.members[name] = _Shape()
                shape.add(member, depth + 1)
        elif kind == "array":
            if depth < MOST_DEPTH:
                self.items = self.items or _Shape()
                for element in value[:MOST_ITEMS]:
                    self.items.add(element, depth + 1)
        else:
            if kind == "string":
                self._add_text(value)
            self.example = value if self.example is None else self.example

    def _add_text(self, text: str) -> None:
        if len(self.texts) <= MOST_WORDS:
            self.texts[text] += 1
        if not text:
            return
        fits = {at for at, (_, pattern, _) in enumerate(_PATTERNS) if pattern.fullmatch(text)}
        self.kinds = fits if self.kinds is None else self.kinds & fits

    @property
    def words(self) -> tuple[str, ...]:
        texts = self.texts
        plain = len(texts) <= MOST_WORDS and all(
            count >= LEAST_SEEN and WORD.fullmatch(text) for text, count in texts.items()
        )
        return tuple(sorted(texts)) if texts and plain else ()

    @property
    def pattern(self) -> int | None:
        return min(self.kinds) if self.kinds else None


def _type(value: Any) -> str:
    # In this order: a truth value is a whole number too.
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"),
    )  # fmt: skip
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _part(part: Part, shape: _Shape) -> PartSchema:
    return PartSchema(
        part=part,
        captures=shape.count,
        schema={"$schema": DIALECT, **_schema(shape, shape.count)},
        fields=list(_fields("", shape, shape.count))[:MOST_FIELDS],
    )


def _schema(shape: _Shape, of: int) -> dict[str, Any]:
    types = sorted(shape.types)
    if "number" in types and "integer" in types:
        types.remove("integer")
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if shape.count != of:
        schema["$comment"] = f"seen in {shape.count} of {of}"
    if shape.words and types == ["string"]:
        schema["enum"] = list(shape.words)
    elif shape.pattern is not None and types == ["string"] and "" not in shape.texts:
        schema |= _PATTERNS[shape.pattern][2]
    if "object" in shape.types:
        objects = shape.types["object"]
        schema["properties"] = {name: _schema(member, objects) for name, member in shape.members.items()}
        schema["required"] = [name for name, member in shape.members.items() if member.count == objects]
    if shape.items is not None and shape.items.count:
        schema["items"] = _schema(shape.items, shape.items.count)
    return schema


def _fields(name: str, shape: _Shape, of: int) -> Iterable[Field]:
    simple = {kind for kind in shape.types if kind not in {"object", "array"}}
    if name and (simple or not (shape.members or shape.items)):
        kind = " or ".join(sorted(shape.types))
        if shape.pattern is not None and simple == {"string"}:
            kind = _PATTERNS[shape.pattern][0]
        example = "" if shape.words else mask(shape.example)
        yield Field(name=name, kind=kind, seen=shape.count, of=of, words=shape.words, example=example)
    for member, inner in shape.members.items():
        yield from _fields(f"{name}.{member}" if name else member, inner, shape.types["object"])
    if shape.items is not None:
        yield from _fields(f"{name}[]", shape.items, shape.items.count)


def mask(value: Any) -> str:
    """Return what a value looks like: digits as 9, letters as a, in capitals A, and no more than a little of it."""
    if not isinstance(value, str):
        return "" if value is None else re.sub(r"\d", "9", str(value))[:EXAMPLE_SHOWN]
    shown = "".join(_instead(each) for each in value[:EXAMPLE_SHOWN])
    return shown + ("…" if len(value) > EXAMPLE_SHOWN else "")


def _instead(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character
