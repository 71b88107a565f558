"""The parser of XML replies: what it understands, what it refuses, and that it never trips."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

import plivo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.dialect.xml_reply import MAX_PARTS, Element, MessageElement, OtherElement, is_reply, parse
from ringback.model.errors import ReplyMalformed


def test_attributes_are_the_fields_of_a_send_request() -> None:
    body = (
        b'<Response>\n  <Message src="1" dst="2&lt;3" type="sms" callbackUrl="https://e.com/s?a=1&amp;b=2" '
        b'callbackMethod="GET" Src="9" other="x">\n  a &amp; <![CDATA[<b>]]>\n&#x1F600;  </Message>\n</Response>'
    )
    assert parse(body) == [
        MessageElement(
            {
                "src": "1", "dst": "2<3", "type": "sms", "url": "https://e.com/s?a=1&b=2", "method": "GET",
                "text": "a & <b>\n😀",
            }
        )
    ]  # fmt: skip


def test_what_the_sdk_builds_is_understood() -> None:
    response = plivo.plivoxml.ResponseElement()
    response.add(plivo.plivoxml.MessageElement("Grüße", src="1", dst="2<3", type="sms", callback_url="http://e.com/"))
    (element,) = parse(response.to_string().encode())
    assert isinstance(element, MessageElement)
    assert (element.fields["dst"], element.fields["text"], element.fields["url"]) == ("2<3", "Grüße", "http://e.com/")


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("", []),
        ("<!-- nothing --><?php nothing ?>", []),
        ("<message>x</message>", [OtherElement("message", "only Message is executed, with a capital M")]),
        (
            "<Message>a<Media>b</Media>c</Message>",
            [OtherElement("Message", "it contains Media, and a Message may contain nothing but text")],
        ),
        (
            "hello <Message/>",
            [OtherElement("text", "text outside of a Message is not sent"), MessageElement({"text": ""})],
        ),
        (
            "<Message/>bye",
            [MessageElement({"text": ""}), OtherElement("text", "text outside of a Message is not sent")],
        ),
    ],
)
def test_what_is_not_executed_is_kept(inside: str, found: list[Element]) -> None:
    assert parse(f"<Response>{inside}</Response>".encode()) == found


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_nothing_asks_for_nothing(body: bytes) -> None:
    assert parse(body) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"thanks", "not well-formed XML: syntax error in line 1, column 1"),
        (b"<Response>", "not well-formed XML: no element found in line 1, column 11"),
        (b"<Response/><Response/>", "not well-formed XML: junk after document element in line 1, column 12"),
        (b"<response/>", "the root element is response; it must be Response"),
        (b"<Response>&nbsp;</Response>", "not well-formed XML: undefined entity in line 1, column 11"),
        (b"<Response>\xff</Response>", "not well-formed XML: not well-formed (invalid token) in line 1, column 11"),
        (b'<?xml version="1.0" encoding="klingon"?><Response/>', "not readable XML: declare an encoding such as UTF-8"),
        (b'<?xml version="1.0" encoding="shift-jis"?><Response/>', "not readable XML: declare an encoding"),
        (b"<!DOCTYPE Response><Response/>", "a document type is not allowed in a reply"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Response>&b;</Response>', "a document type is not allowed in a reply"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Response/>', "a document type is not allowed in a reply"),
        (b"<Response>" + b"<a>" * 40, "elements are nested more than 32 deep"),
        (b"<Response>" + b"<Message/>" * (MAX_PARTS + 1) + b"</Response>", "a reply has at most 100 elements"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(ReplyMalformed) as caught:
        parse(body)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/xml", True), ("Text/XML; charset=utf-8", True), ("text/html", False), ("", False),
        ("application/xhtml+xml", False),
    ],
)  # fmt: skip
def test_the_content_type_makes_it_a_reply(content_type: str, *, expected: bool) -> None:
    assert is_reply(content_type) == expected


def tolerates(body: bytes) -> None:
    try:
        found = parse(body)
    except ReplyMalformed:
        return
    assert all(isinstance(each, (MessageElement, OtherElement)) for each in found)


@given(st.binary(max_size=300))
def test_no_bytes_trip_it(body: bytes) -> None:
    tolerates(body)


_PIECES = [
    b"<Response>", b"</Response>", b"<Message", b' src="1"', b">", b"/>", b"</Message>", b"text", b"&lt;", b"&a;",
    b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE a [", b'<!ENTITY a "b">', b"]>",
    b'<?xml version="1.0" encoding="utf-16"?>',
    b"\xfe\xff", b"\x00", b"\xc3\xa9", b"<a:b>", b"&#0;", b"&#xD800;", b'<?xml version="1.0" encoding="idna"?>',
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14))
def test_no_pieces_of_xml_trip_it(pieces: list[bytes]) -> None:
    tolerates(b"".join(pieces))


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=4), st.sampled_from(["utf-8", "utf-16"]))
def test_whatever_is_written_well_is_read_as_written(messages: list[tuple[Any, Any]], encoding: str) -> None:
    inside = "".join(f"<Message dst={quoteattr(dst)}>{escape(text)}</Message>" for dst, text in messages)
    body = f'<?xml version="1.0" encoding="{encoding}"?><Response>{inside}</Response>'.encode(encoding)
    assert parse(body) == [MessageElement({"dst": dst, "text": text.strip()}) for dst, text in messages]
