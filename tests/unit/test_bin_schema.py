"""What is inferred from captures: sound as JSON Schema, right about types, and silent about what senders wrote."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.inspector.schema import MOST_FIELDS, Field, infer, mask
from tests.fakes.captures import capture

FORM = '[["Content-Type", "application/x-www-form-urlencoded"]]'


def of_json(*values: Any) -> dict[str, Any]:
    """Return the schema of JSON bodies."""
    (part,) = infer(capture(body=json.dumps(value).encode()) for value in values)
    assert part.part == "json"
    return part.schema


def fields(**values: list[str]) -> dict[str, Field]:
    """Return the fields of forms, each made of the values at the same place."""
    forms = [
        urlencode(pairs).encode() for pairs in zip(*([(k, v) for v in vs] for k, vs in values.items()), strict=True)
    ]
    (part,) = infer(capture(body=body, headers=FORM) for body in forms)
    return {field.name: field for field in part.fields}


def test_members_of_some_are_not_required() -> None:
    schema = of_json({"a": 1, "b": "x"}, {"a": 2.5}, {"a": None, "b": True})
    assert schema["required"] == ["a"]
    assert schema["properties"]["a"]["type"] == ["null", "number"]
    assert schema["properties"]["b"] == {"type": ["boolean", "string"], "$comment": "seen in 2 of 3"}


def test_lists_and_what_is_in_them() -> None:
    schema = of_json([{"a": [1, 2]}, {"a": []}])
    assert schema["type"] == "array"
    assert schema["items"]["properties"]["a"] == {"type": "array", "items": {"type": "integer"}}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["019ab000-0000-7000-8000-000000000001"], "uuid"),
        (["+14155550123", "442071234567"], "phone number"),
        (["0", "-12"], "whole number"),
        (["000", "30"], "digits"),
        (["0.00550", "1"], "decimal number"),
        (["2026-01-01 00:00:00.000000", "2026-01-01T00:00Z"], "time"),
        (["https://example.com/x"], "URL"),
        (["1", "one"], "string"),
        (["", "12"], "whole number"),
    ],
)
def test_kinds_of_text(values: list[str], kind: str) -> None:
    assert fields(x=values)["x"].kind == kind


def test_words_are_shown_and_texts_are_not() -> None:
    found = fields(
        Status=["sent", "sent", "delivered", "delivered"],
        Text=["Meet Ann", "at 7", "gate 4", "no"],
        Name=["Ann", "Bob", "Cy", "Di"],
    )
    assert found["Status"].words == ("delivered", "sent")
    assert (found["Text"].words, found["Text"].example) == ((), "Aaaa Aaa")
    assert (found["Name"].words, found["Name"].example) == ((), "Aaa")


def test_parameters_that_come_twice_are_lists() -> None:
    (part,) = infer([capture(query="a=1&a=2&b="), capture(query="a=3&b=")])
    assert part.part == "query"
    assert part.schema["properties"]["a"]["type"] == ["array", "string"]
    assert {field.name for field in part.fields} == {"a", "a[]", "b"}


def test_what_is_cut_or_no_text_counts_for_nothing() -> None:
    assert infer([capture(body=b'{"a": ', cut="too_large"), capture(body=b"\xff\x00"), capture()]) == []


def test_bounds() -> None:
    wide = {f"k{number}": 1 for number in range(1_000)}
    deep: Any = 1
    for _ in range(200):
        deep = {"a": [deep]}
    (part,) = infer([capture(body=json.dumps(wide).encode()), capture(body=json.dumps(deep).encode())])
    assert len(part.fields) <= MOST_FIELDS
    assert len(json.dumps(part.schema)) < 100_000


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), min_size=1, max_size=3))
def test_every_document_satisfies_what_was_inferred(values: list[Any]) -> None:
    schema = of_json(*values)
    json.dumps(schema)
    assert all(satisfies(value, schema) for value in values)


def satisfies(value: Any, schema: dict[str, Any]) -> bool:
    """Check the little of JSON Schema that is inferred."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kinds = {"null": type(None), "boolean": bool, "integer": int, "number": (int, float), "string": str}
    kinds |= {"array": list, "object": dict}
    if not any(isinstance(value, kinds[kind]) for kind in types):  # type: ignore[arg-type]
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        missing = set(schema.get("required", ())) - set(value)
        return not missing and all(satisfies(each, inner[name]) for name, each in value.items() if name in inner)
    if isinstance(value, list) and "items" in schema:
        return all(satisfies(each, schema["items"]) for each in value)
    return True


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_masked_values_say_nothing(value: Any) -> None:
    shown = mask(value)
    assert not set(shown) & set("012345678bcdghijklmnopqvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ") or not isinstance(value, str)
    assert len(shown) <= 41
