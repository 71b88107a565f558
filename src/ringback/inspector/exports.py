"""Captures in the formats of other tools: a command for curl, an HTTP archive, JSON a line, a test. Pure."""

import base64
import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from ringback.store.captures import Capture, Head

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

HOP: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers of one connection: whoever sends a request again has its own."""


def headers_of(head: Head) -> list[tuple[str, str]]:
    """Return names and values in their order, bytes taken for Latin-1."""
    return [(name, value) for name, value in msgspec.json.decode(head.headers)]


def target_of(head: Head) -> str:
    """Return path and query as on the request line."""
    return head.path + (f"?{head.query}" if head.query else "")


def header(head: Head, name: str) -> str:
    """Return the first value of a header, ``""`` without one."""
    return next((value for known, value in headers_of(head) if known.lower() == name), "")


def utc(at_us: int) -> str:
    """Write a time as RFC 3339 has it."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_text(body: bytes) -> str | None:
    """Return a body as text, ``None`` when it is none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def record(head: Head, body: bytes | None = None) -> dict[str, Any]:
    """Return a capture as the API writes it; with ``body``, as text where it is text, else as base64."""
    text = None if body is None else as_text(body)
    content: dict[str, Any] = {}
    if body is not None:
        content = {"body": text} if text is not None else {"body_base64": base64.b64encode(body).decode()}
    return {
        "number": head.number,
        "received_time": utc(head.received_at_us),
        "method": head.method,
        "path": head.path,
        "query": head.query,
        "headers": [list(pair) for pair in headers_of(head)],
        "from_ip": head.peer,
        "body_bytes": head.body_size,
        "cut": head.cut or None,
        "group": head.group_key,
        "attempt": head.attempt,
        "answer": head.answer,
        "answered_status": head.answered_status,
        "duration_us": head.duration_us,
        "outcome": head.outcome or None,
        **content,
    }


def ndjson(found: Sequence[Capture]) -> str:
    """Write captures as JSON, one a line."""
    return "".join(json.dumps(record(item, item.body)) + "\n" for item in found)


def curl(item: Capture, base_url: str) -> str:
    """Write a command that sends the request again, with all its headers but those of the connection."""
    parts = ["curl", "--globoff", "--path-as-is"]
    if item.method == "HEAD":
        parts.append("--head")
    elif item.method != "GET" or item.body:
        parts += ["--request", item.method]
    for name, value in _own_headers(item):
        # "Name:" would have curl leave the header out; "Name;" sends it empty.
        parts += ["--header", f"{name}: {value}" if value else f"{name};"]
    if item.body and not header(item, "content-type"):
        parts += ["--header", "Content-Type:"]
    before = after = ""
    if item.body:
        text = as_text(item.body)
        if text is not None and all(character.isprintable() or character in "\n\t" for character in text):
            parts += ["--data-raw", text]
        else:
            before = f"printf %s {base64.b64encode(item.body).decode()} | base64 -d | "
            parts += ["--data-binary", "@-"]
    return f"{before}{shlex.join([*parts, base_url.rstrip('/') + target_of(item)])}{after}\n"


def _own_headers(item: Head) -> Iterator[tuple[str, str]]:
    return ((name, value.strip()) for name, value in headers_of(item) if name.lower() not in HOP)


def har(found: Sequence[Capture], base_url: str, version: str) -> str:
    """Write captures as an HTTP archive (HAR 1.2)."""
    log = {
        "version": "1.2",
        "creator": {"name": "Ringback", "version": version},
        "entries": [_har_entry(item, base_url) for item in found],
    }
    return json.dumps({"log": log}, indent=1)


def _har_entry(item: Capture, base_url: str) -> dict[str, Any]:
    milliseconds = (item.duration_us or 0) / 1000
    request: dict[str, Any] = {
        "method": item.method,
        "url": base_url.rstrip("/") + target_of(item),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in headers_of(item)],
        "queryString": [
            {"name": name, "value": value} for name, value in parse_qsl(item.query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": item.body_size,
    }
    if item.body:
        text = as_text(item.body)
        post = {"mimeType": header(item, "content-type"), "params": []}
        if text is None:
            post |= {"text": base64.b64encode(item.body).decode(), "_encoding": "base64"}
        else:
            post["text"] = text
        request["postData"] = post
    return {
        "startedDateTime": utc(item.received_at_us),
        "time": milliseconds,
        "request": request,
        "response": {
            "status": item.answered_status or 0,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "content": {"size": -1, "mimeType": ""},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "_number": item.number,
        "_from": item.peer,
        "_outcome": item.outcome,
    }


_TEST: Final = '''"""Requests that the bin {name} has captured, sent to the application under test.

    TARGET=http://127.0.0.1:8000 python -m pytest THIS_FILE
"""

import base64
import http.client
import os
from urllib.parse import urlsplit

import pytest

TARGET = os.environ.get("TARGET", "http://127.0.0.1:8000")

CAPTURES = [
{cases}]


@pytest.mark.parametrize(("method", "target", "headers", "body"), CAPTURES)
def test_the_request_is_taken(method, target, headers, body):
    parts = urlsplit(TARGET)
    kinds = {{"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}}
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=30)
    try:
        content = base64.b64decode(body)
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if content:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        assert 200 <= connection.getresponse().status < 300
    finally:
        connection.close()
'''


def pytest_module(found: Sequence[Capture], name: str) -> str:
    """Write a test that sends captures to an application and wants them taken; needs the standard library alone."""
    cases = "".join(
        "    pytest.param(\n"
        f"        {item.method!a},\n"
        f"        {target_of(item)!a},\n"
        f"        {list(_own_headers(item))!a},\n"
        f"        {base64.b64encode(item.body).decode()!a},\n"
        f'        id="{item.number}",\n'
        "    ),\n"
        for item in found
    )
    return _TEST.format(name=name, cases=cases)
