"""Messages as the ``submit_sm`` that carry them: what a carrier can ask for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.carriers.smpp.coding import Codings
from ringback.carriers.smpp.configure import shape_of
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.model.segments import segment
from ringback.settings import SmppSettings

NOW_US = 1_764_392_400_000_000
"""2025-11-29 05:00:00 UTC."""


def made(text: str = "Hello", src: str = "15005550100", **settings: Any) -> list[ShortMessage]:
    shape = shape_of(SmppSettings(**settings))
    return shaped(uuid="m", src=src, dst="15005550001", text=text, shape=shape, valid_s=90_061, now_us=NOW_US)


@pytest.mark.parametrize(
    ("src", "settings", "address"),
    [
        ("Ringback", {}, (5, 0)),
        ("Ringback", {"name_type": "5/9"}, (5, 9)),
        ("12345", {}, (3, 0)),
        ("12345", {"short_code_type": "0/1"}, (0, 1)),
        ("12345", {"short_code_digits": 4}, (1, 1)),
        ("15005550100", {}, (1, 1)),
        ("15005550100", {"number_type": "0/0"}, (0, 0)),
    ],
)
def test_senders_by_kind(src: str, settings: dict[str, Any], address: tuple[int, int]) -> None:
    (body,) = made(src=src, **settings)
    assert (body.source_ton, body.source_npi, body.source) == (*address, src)


def test_destinations_have_a_type_of_their_own() -> None:
    (body,) = made(dest_type="2/8")
    assert (body.dest_ton, body.dest_npi, body.dest) == (2, 8, "15005550001")


@pytest.mark.parametrize(
    ("validity", "written"), [("relative", "000001010101000R"), ("absolute", "251130060101000+"), ("none", "")]
)
def test_when_a_message_expires(validity: str, written: str) -> None:
    (body,) = made(validity=validity)
    assert body.validity_period == written


@pytest.mark.parametrize(
    ("receipts_for", "asked"), [("all", [1, 1]), ("last", [0, 1]), ("failures", [2, 2]), ("none", [0, 0])]
)
def test_with_which_parts_a_receipt_is_asked_for(receipts_for: str, asked: list[int]) -> None:
    assert [body.registered_delivery for body in made("a" * 200, receipts_for=receipts_for)] == asked


@pytest.mark.parametrize(
    ("text", "settings", "number", "parts"),
    [
        ("Hello", {}, 0, 1),
        ("Hello", {"latin1": True}, 0, 1),
        ("ça va", {}, 8, 1),
        ("ça va", {"latin1": True}, 3, 1),
        ("ç" * 140, {"latin1": True}, 3, 1),
        ("ç" * 141, {"latin1": True}, 3, 2),
        ("ç" * 268, {"latin1": True}, 3, 2),
        ("ç" * 268, {"latin1": True, "concatenation": "udh16"}, 3, 3),
        ("ç" * 268, {"latin1": True, "concatenation": "payload"}, 3, 1),
        ("ç €", {"latin1": True}, 8, 1),
        ("ça va", {"latin1": True, "latin1_data_coding": 1}, 1, 1),
        ("日本", {"ucs2_data_coding": 0x18}, 0x18, 1),
        ("Hello", {"gsm_data_coding": 0xF0}, 0xF0, 1),
    ],
)
def test_alphabets_and_their_numbers(text: str, settings: dict[str, Any], number: int, parts: int) -> None:
    bodies = made(text, **settings)
    assert ({body.data_coding for body in bodies}, len(bodies)) == ({number}, parts)


def read_back(body: ShortMessage, shape: Shape) -> str:
    standard = shape.codings.standard(body.data_coding)
    plain = ShortMessage(
        esm_class=body.esm_class, data_coding=standard, short_message=body.short_message, tlvs=body.tlvs
    )
    return text_of(plain, shape.default_coding)[0]


TEXTS = st.text(st.sampled_from("aé€[çñ日🎉Ω"), max_size=400)


@given(
    TEXTS,
    st.sampled_from(["udh", "udh16", "sar"]),
    st.sampled_from(["gsm", "gsm_packed", "latin1"]),
    st.booleans(),
)
def test_no_part_is_longer_than_the_air_carries(text: str, concatenation: Any, default: Any, latin1: Any) -> None:
    shape = Shape(concatenation=concatenation, default_coding=default, latin1=latin1, codings=Codings(ucs2=0x18))
    bodies = shaped(uuid="m", src="1", dst="2", text=text, shape=shape)
    assert "".join(read_back(body, shape) for body in bodies) == segment(text, smart=False).text
    for body in bodies:
        is_septets = body.data_coding == 0 and default == "gsm"
        header = body.short_message[0] + 1 if body.esm_class else 0
        octets = len(body.short_message)
        if is_septets:
            # After the header, which ends within a septet.
            octets = header + -(-((octets - header) * 7 + -header * 8 % 7) // 8)
        if not (body.data_coding == 0 and default == "latin1"):
            assert octets <= 140
