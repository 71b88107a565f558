"""Types, names and URLs of media; fields of MMS; the multipart reader."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from ringback.dialect import send
from ringback.dialect.media import Complaint, MediaUrls, file_name, judge_type
from ringback.dialect.mms import MediaFields
from ringback.model.errors import InvalidRequest, TooLarge
from ringback.web.multipart import Begin, Data, End, Event, parts
from tests.data.media import GIF, JPEG, PNG

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
UUID = "019ab000-0000-7000-8000-000000000001"
OTHER = "019ab000-0000-7000-8000-000000000002"
NOW_US = 1_764_000_060_000_000
DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("declared", "head", "expected"),
    [
        ("image/jpeg", JPEG, "image/jpeg"),
        ("image/jpg", JPEG, "image/jpeg"),
        ("IMAGE/PNG; q=1", PNG, "image/png"),
        ("application/octet-stream", GIF, "image/gif"),
        ("", PNG, "image/png"),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("text/vcard", b"BEGIN:VCARD", "text/vcard"),
        ("audio/mp3", b"ID3", "audio/mp3"),
        ("application/pdf", b"%PDF-1.7", "application/pdf"),
    ],
)
def test_types_that_are_taken(declared: str, head: bytes, expected: str) -> None:
    assert judge_type(declared, head[:12]) == expected


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/jpeg", PNG),
        ("image/png", b"<html>"),
        ("text/plain", JPEG),
        ("text/html", b"<html>"),
        ("image/svg+xml", b"<svg>"),
        ("application/zip", b"PK\x03\x04"),
        ("application/octet-stream", b"MZ"),
        ("", b""),
        ("x\r\ny/z", b""),
    ],
)
def test_types_that_are_not(declared: str, head: bytes) -> None:
    judged = judge_type(declared, head[:12])
    assert isinstance(judged, Complaint)
    assert judged.status == 415
    assert judged.text.isprintable()


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\cat.jpg", "cat.jpg"),
        ("..", ""),
        ("a\x00b\r\nc", "abc"),
        ("é" * 200, "é" * 128),
        ("", ""),
    ],
)
def test_names_are_no_paths(given_name: str, shown: str) -> None:
    assert file_name(given_name) == shown


@given(st.text())
def test_every_name_can_be_shown(given_name: str) -> None:
    name = file_name(given_name)
    assert name.isprintable()
    assert len(name) <= 128
    assert not {"/", "\\"} & set(name)


def signed(url: str) -> tuple[str, dict[str, str]]:
    parts_of = urlsplit(url)
    return parts_of.path, dict(parse_qsl(parts_of.query))


def urls(key: bytes = bytes(32), **options: Any) -> MediaUrls:
    return MediaUrls(key, **{"base_url": "https://sms.example.com/", "lifetime_s": 86_400, **options})


def test_a_url_works_until_it_ends_and_stays_the_same_for_a_while() -> None:
    url = urls().url(ACCOUNT, UUID, OTHER, now_us=NOW_US)
    assert url.startswith(f"https://sms.example.com/media/Account/{ACCOUNT}/Message/{UUID}/Media/{OTHER}?expires=")
    place, query = signed(url)
    assert urls().is_valid(place, query, now_us=NOW_US)
    assert urls().is_valid(place, query, now_us=NOW_US + DAY_US - 1)
    assert not urls().is_valid(place, query, now_us=NOW_US + DAY_US + 3_600_000_000)
    assert urls().url(ACCOUNT, UUID, OTHER, now_us=NOW_US + 1) == url


def test_nothing_of_a_url_can_be_changed() -> None:
    place, query = signed(urls().url(ACCOUNT, None, UUID, now_us=NOW_US))
    assert urls().is_valid(place, query, now_us=NOW_US)
    changed: list[tuple[str, dict[str, str]]] = [
        (place.replace(UUID, OTHER), query),
        (place, {**query, "expires": str(int(query["expires"]) + 1)}),
        (place, {**query, "expires": "9" * 30}),
        (place, {**query, "expires": "never"}),
        (place, {**query, "signature": query["signature"][:-1]}),
        (place, {**query, "signature": "\udce9é"}),
        (place, {"expires": query["expires"]}),
        (place, {}),
    ]
    assert [each for each in changed if urls().is_valid(*each, now_us=NOW_US)] == []
    assert not urls(b"another key").is_valid(place, query, now_us=NOW_US)


MMS = {"src": "15005550100", "dst": "15005550001", "type": "mms"}


def test_media_of_a_request() -> None:
    request = send.parse(
        {**MMS, "media_urls": ["https://example.com/a.png"], "media_ids": [UUID.upper(), UUID.upper()]}
    )
    assert (request.type, request.text) == ("mms", "")
    assert request.media == MediaFields(("https://example.com/a.png",), (UUID,))
    form = send.parse({**MMS, "media_urls": '["https://example.com/a", "https://example.com/b"]', "media_ids": UUID})
    assert form.media == MediaFields(("https://example.com/a", "https://example.com/b"), (UUID,))
    assert send.parse({**MMS, "text": "only", "media_urls": [], "media_ids": None}).media == MediaFields()
    assert send.parse({**MMS, "type": "sms", "text": "x", "media_urls": ["no url"]}).media == MediaFields()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "needs media_urls, media_ids or text"),
        ({"media_urls": ["https://example.com/a"] * 11}, "at most 10 media"),
        (
            {"media_urls": ["https://example.com/a"] * 6, "media_ids": [f"{UUID[:-1]}{n}" for n in range(5)]},
            "at most 10",
        ),
        ({"media_urls": ["ftp://example.com/a"]}, "http or https"),
        ({"media_urls": ["https://"]}, "http or https"),
        ({"media_urls": ["https://example.com/" + "a" * 2048]}, "at most 2048"),
        ({"media_urls": ["https://exämple.com/"]}, "ASCII"),
        ({"media_urls": "[broken"}, "list of strings"),
        ({"media_urls": {"a": 1}}, "list of strings"),
        ({"media_ids": [1]}, "list of strings"),
        ({"media_ids": [""]}, "list of strings"),
        ({"media_ids": ["nonsense"]}, "have not uploaded"),
        ({"type": "whatsapp"}, "not offered here; use sms or mms"),
    ],
)
def test_media_that_no_message_has(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        send.parse({**MMS, **fields})


def body(*files: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    head = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: image/png\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + end


def request_of(pieces: list[bytes], content_type: str, *, breaks_off: bool = False) -> Request:
    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces) or breaks_off}

    return Request({"type": "http", "headers": [(b"content-type", content_type.encode())]}, receive)


async def read(raw: bytes, *, piece: int = 7, content_type: str = "multipart/form-data; boundary=xyz") -> list[Event]:
    pieces = [raw[at : at + piece] for at in range(0, len(raw), piece)] or [b""]
    events: AsyncIterator[Event] = parts(request_of(pieces, content_type), 10_000)
    return [event async for event in events]


@given(st.lists(st.binary(max_size=200), max_size=4), st.integers(1, 300))
async def test_files_arrive_as_they_were_sent(files: list[bytes], piece: int) -> None:
    files = [file for file in files if b"\r\n--xyz" not in file]
    found: list[bytes] = []
    for event in await read(body(*files), piece=piece):
        match event:
            case Begin(field="file", file_name="a", content_type="image/png"):
                found.append(b"")
            case Data(data):
                found[-1] += data
            case End():
                pass
            case _:
                pytest.fail(str(event))
    assert found == files


@pytest.mark.parametrize(
    "raw",
    [
        body(PNG, end=b""),
        body(PNG)[:-12],
        body(PNG)[:40],
        b"",
        b"nonsense",
        b"--xyz\r\nno header\r\n\r\n",
        b"--xyz\r\n" + b"X-A: b\r\n" * 50 + b"\r\nx\r\n--xyz--\r\n",
        b"--xyz\r\nX-A: " + b"b" * 9_000,
        b"--xyz\r\nContent-Disposition: form-data\r\n\r\n\r\n" * 150,
    ],
)
async def test_broken_bodies_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read(raw)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 300,
    ],
)
async def test_bodies_of_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="multipart"):
        await read(body(PNG), content_type=content_type)


async def test_a_body_without_end_is_cut_off() -> None:
    with pytest.raises(TooLarge):
        await read(body(b"x" * 20_000))
    with pytest.raises(ClientDisconnect):
        async for _ in parts(request_of([body(PNG)[:50]], "multipart/form-data; boundary=xyz", breaks_off=True), 999):
            pass
