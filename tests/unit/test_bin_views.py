"""Captures for people and other tools: views of bodies, comparing, and commands for shells."""

import shlex

import pytest

from ringback.inspector import bodies, compare, exports
from ringback.inspector.forward import read_headers
from ringback.model.errors import InvalidRequest
from tests.fakes.captures import capture

FORM = "application/x-www-form-urlencoded; charset=utf-8"
PNG = b"\x89PNG\r\n\x1a\n\x00"


@pytest.mark.parametrize(
    ("body", "content_type", "found"),
    [
        (b"", "", []), (b"a=1", FORM, ["form", "text", "hex"]), (b"a=1", "", ["text", "hex"]),
        (b"\x00\xff", FORM, ["hex", "text"]), (b"a&" * 600, FORM, ["text", "hex"]),
        (b' {"a": 1}', "", ["json", "text", "hex"]), (b"{", "", ["text", "hex"]), (b"7", "", ["text", "hex"]),
        (PNG, "text/html", ["image", "hex", "text"]), (b"[" * 100_000, "", ["text", "hex"]),
        (b"RIFF....WEBP\x00", "", ["image", "hex", "text"]), (b"<svg/>", "image/svg+xml", ["text", "hex"]),
    ],
)  # fmt: skip
def test_views_by_what_is_in_a_body(body: bytes, content_type: str, found: list[str]) -> None:
    assert bodies.views(body, content_type) == found


def test_comparing_pairs_what_is_named_alike() -> None:
    left = capture(1, headers='[["X","1"],["A","a"],["x","2"]]', body=b'{"a": {"b": [1, 2]}, "same": {}}')
    right = capture(2, headers='[["x","1"],["X","3"],["New","n"]]', body=b'{"a": {"b": [1, 3]}, "same": {}}', query="q")
    assert [(row.part, row.name, row.left, row.right) for row in compare.rows(left, right) if not row.is_same] == [
        ("request", "Query", "", "q"), ("header", "A", "a", None), ("header", "x", "2", "3"),
        ("header", "New", None, "n"), ("field", "a.b[1]", "2", "3"),
    ]  # fmt: skip
    lines = compare.body_lines(left, right)
    assert [line.strip() for line in lines if line[0] in "+-" and line[1] == " "] == ["-      2", "+      3"]
    assert compare.body_lines(left, left) == []


@pytest.mark.parametrize("body", [b"\x00" * 70_000, b"\xff" * 10, b"[" * 70_000, b"line\n" * 5_000])
def test_comparing_is_bounded_whatever_the_bodies_are(body: bytes) -> None:
    assert len(compare.body_lines(capture(1, body=body), capture(2, body=b"a"))) <= compare.MAX_LINES
    assert compare.rows(capture(1, body=body), capture(2, body=body))


@pytest.mark.parametrize("hostile", ["'; rm -rf ~ #", "$(id)", "`id`", "\\", "a\nb", "-o /etc/passwd", '"'])
def test_a_curl_command_is_one_command_of_plain_words(hostile: str) -> None:
    item = capture(body=hostile.encode(), headers=f"[{exports.json.dumps(['X', hostile.replace(chr(10), ' ')])}]")
    words = shlex.split(exports.curl(item, "http://a.example"))
    assert words[words.index("--data-raw") + 1] == hostile
    assert words[words.index("--header") + 1] == f"X: {hostile.replace(chr(10), ' ').strip()}"
    assert words[-1] == "http://a.example/bin/t"


def test_headers_of_the_connection_are_not_sent_again() -> None:
    headers = '[["Host","x"],["Connection","close"],["Content-Length","3"],["X-Kept","y"]]'
    command = exports.curl(capture(headers=headers), "http://a.example")
    assert "X-Kept" in command
    assert not any(name in command for name in ("Host:", "Connection:", "Content-Length:"))


def test_headers_are_read_one_a_line() -> None:
    assert read_headers("A: 1\r\n\nB:2: 3 \n") == [("A", "1"), ("B", "2: 3")]
    for wrong in ("a", ": b", " a: b", "a : b", "a: b\x00", "\u00e4: b"):
        with pytest.raises(InvalidRequest):
            read_headers(wrong)
