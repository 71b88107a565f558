"""Whatever is sent: everything that reads a request says what it makes of it, and raises nothing."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ringback.inspector import bodies, compare, exports, schema
from ringback.inspector.exports import as_text
from ringback.inspector.forward import onward
from ringback.inspector.groups import key_of
from ringback.model.errors import InvalidRequest, TooLarge
from ringback.receiver.source import Malformed, NotVerified, Source, named
from ringback.web.multipart import parts
from ringback.web.signed import Keys, explained, said_by, verdict
from tests.fakes.captures import capture

FORM = "application/x-www-form-urlencoded"
NAMES = ("MessageUUID", "Status", "From", "To", "Type", "Text", "Sequence", "MessageSid", "MessageStatus", "a", "")
LATIN = st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n")
WORDS = st.text(LATIN, max_size=20)

VALUES = st.one_of(st.text(max_size=12), st.sampled_from(["delivered", "9" * 30, "-1", "\x00", "%ff%00", "1e999"]))
FORMS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8).map(lambda pairs: urlencode(pairs).encode())
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
BODIES = st.one_of(st.binary(max_size=60), FORMS, DOCUMENTS, st.tuples(FORMS, st.binary(max_size=5)).map(b"".join))

HEADERS = st.lists(
    st.tuples(
        st.sampled_from([
            "Host", "Content-Type", "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce", "X-Plivo-Signature-V2",
            "X-Plivo-Signature-V2-Nonce", "X-Plivo-Signature", "X-Twilio-Signature", "webhook-id", "webhook-timestamp",
            "webhook-signature", "X-Forwarded-Port", "X-Original-URI",
        ]),
        WORDS | st.sampled_from([FORM, "application/json", "[::1", "h:99999999", "h:x", "v1,YQ==", ",,,", "YWJj"]),
    ),
    max_size=7,
)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "PUT", "BREW"])


@given(METHODS, WORDS, WORDS | FORMS.map(bytes.decode), HEADERS, BODIES)
def test_captures(method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> None:
    item = capture(
        method=method, path=f"/bin/t{path}", query=query, headers=json.dumps(headers), body=body, body_size=len(body)
    )
    key_of(method, (item.path, query), headers, body)
    content_type = exports.header(item, "content-type")
    for view in bodies.views(body, content_type):
        {"json": lambda: bodies.pretty(body), "hex": lambda: bodies.hex_rows(body)}.get(view, lambda: as_text(body))()
    keys = Keys(named(["token"]))
    said_by(item)
    verdict(item, keys)
    explained(item, keys)
    schema.infer([item, item])
    compare.rows(item, capture())
    compare.body_lines(item, capture())
    onward(item, "http://127.0.0.1/x")
    for text in (exports.curl(item, "http://x"), exports.har([item], "http://x", "1"), exports.ndjson([item])):
        text.encode()


@pytest.mark.parametrize("provider", ["plivo", "twilio", "standard"])
@given(method=METHODS, target=WORDS, headers=HEADERS, body=BODIES)
def test_received_requests(
    provider: str, method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    source = Source(tokens=("token",), public_url="https://x", provider=provider)  # type: ignore[arg-type]
    try:
        source.event(method=method, target=f"/{target}", headers=headers, body=body, now_us=0)
    except NotVerified as refused:
        refused.explanation.cause.encode()
    except Malformed:
        pass


PIECES = st.sampled_from([
    b"--b", b"\r\n", b"--b--", b"--b\r\n", b"\n", b"--",
    b"Content-Disposition: form-data; name=file; filename=x\r\n\r\n",
    b'Content-Disposition: form-data; name="\xff\x00', b"Content-Type: image/png\r\n", b"\r\n\r\n", b"x" * 100,
])  # fmt: skip
KINDS = st.sampled_from([
    "multipart/form-data; boundary=b", "multipart/form-data; boundary=" + "b" * 300, "multipart/form-data",
    'multipart/form-data; boundary="b', "multipart/form-data; boundary*=utf-8''%ff", "",
])  # fmt: skip


@given(KINDS | WORDS, st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=12), st.integers(1, 400))
async def test_multipart_bodies(kind: str, pieces: list[bytes], most: int) -> None:
    left = [*pieces]

    async def receive() -> dict[str, object]:
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode("latin-1"))]}
    try:
        async for _ in parts(Request(scope, receive), most):
            pass
    except (InvalidRequest, TooLarge):
        pass


def test_the_reading_side_has_no_broad_handler() -> None:
    """What is proven above is proven of the readers, not of a handler that hides what they raise."""
    source = Path(schema.__file__).parent
    assert not [path.name for path in source.glob("*.py") if "except Exception" in path.read_text()]
