"""What the SMPP server decides without input or output: times, requests read, receipts written, guesses counted."""

from typing import Any

import msgspec
import pytest

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.carriers.smpp.receipts import Reading
from ringback.carriers.smpp.shape import Shape
from ringback.esme.door import may_come_from
from ringback.esme.guesses import FIRST_PAUSE_US, FREE, MOST_ADDRESSES, MOST_PAUSE_US, Guesses
from ringback.esme.logins import made
from ringback.esme.reading import wanted
from ringback.esme.statuses import STATUSES, status_of
from ringback.esme.telling import told
from ringback.esme.times import absolute, minute, seconds_until
from ringback.model import errors
from ringback.model.errors import InvalidRequest, PduRefused
from ringback.model.receipts_asked import ReceiptsAsked, uuid_of
from ringback.model.status import Status
from ringback.store.smpp_logins import Login
from ringback.store.smpp_owed import InboundContent, Owed, ReceiptContent

NOON_US = 1_795_953_600_000_000
"""2026-11-29 12:00:00 UTC."""
UUID = "0199c0de-0000-7000-8000-000000000001"
LOGIN = Login(id=UUID, system_id="acme", account_id="MAAAAAAAAAAAAAAAAAAA", password_hash="", created_at_us=0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("000000000500000R", 300),
        ("000001020304000R", 93_784),
        ("000100000000000R", 30 * 86_400),
        ("261129120500000+", 300),
        ("261129130500004+", 300),
        ("261129110500004-", 300),
        ("261129115900000+", -60),
        ("261329120500000+", None),
        ("26112912050000+", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_times(text: str, seconds: int | None) -> None:
    assert seconds_until(text, NOON_US) == seconds


def test_written_times() -> None:
    assert (absolute(NOON_US), minute(NOON_US)) == ("261129120000000+", "2611291200")
    assert seconds_until(absolute(NOON_US), NOON_US) == 0


@pytest.mark.parametrize(
    ("period", "expiry_s"),
    [("", 10_800), ("000000000500000R", 300), ("000000000001000R", 5), ("000007000000000R", 10_800)],
)
def test_validity_becomes_expiry_within_what_the_api_allows(period: str, expiry_s: int) -> None:
    body = ShortMessage(source="Ringback", dest="15005550001", short_message=b"x", validity_period=period)
    assert wanted(body, LOGIN, default="gsm", now_us=NOON_US).request.expiry_s == expiry_s


@pytest.mark.parametrize(("seconds", "expiry_s"), [(b"\0\0\x01\x2c", 300), (b"\0\0\0\0", None), (b"\1", None)])
def test_data_sm_has_its_validity_as_a_parameter(seconds: bytes, expiry_s: int | None) -> None:
    body = DataSm(source="Ringback", dest="15005550001", tlvs=((names.MESSAGE_PAYLOAD, b"x"), (0x0017, seconds)))
    if expiry_s is None:
        with pytest.raises(PduRefused) as refusal:
            wanted(body, LOGIN, default="gsm", now_us=NOON_US)
        assert refusal.value.status == names.INVALID_EXPIRY
    else:
        assert wanted(body, LOGIN, default="gsm", now_us=NOON_US).request.expiry_s == expiry_s


def owed(kind: Any, content: bytes) -> Owed:
    return Owed(id=UUID, login_id=UUID, message_uuid=UUID, kind=kind, content=content.decode(), due_at_us=0)


@pytest.mark.parametrize(
    ("status", "code", "state", "error", "esm_class"),
    [
        ("sent", None, "ENROUTE", "", 0x20),
        ("delivered", "000", "DELIVRD", "", 0x04),
        ("undelivered", "30", "UNDELIV", "30", 0x04),
        ("undelivered", "1000", "UNDELIV", "1000", 0x04),
        ("failed", "420", "EXPIRED", "420", 0x04),
        ("failed", "90", "REJECTD", "90", 0x04),
    ],
)
def test_receipts_say_what_our_own_reader_reads(
    status: str, code: str | None, state: str, error: str, esm_class: int
) -> None:
    content = ReceiptContent(
        message_id=UUID, src="Ringback", dst="15005550001", status=status, error_code=code, submitted_at_us=NOON_US,
        done_at_us=NOON_US,
    )  # fmt: skip
    (body,) = told(owed("receipt", msgspec.json.encode(content)), Shape())
    read = Reading().read(body)
    assert read is not None
    assert (read.message_id, read.state, read.error, body.esm_class) == (UUID, state, error, esm_class)
    assert (body.source, body.dest, body.dest_ton) == ("15005550001", "Ringback", 5)
    assert b"submit date:2611291200 done date:2611291200" in body.short_message


def test_inbound_messages_ask_for_no_receipt() -> None:
    content = msgspec.json.encode(InboundContent(src="14155550199", dst="14155550100", text="x" * 400))
    bodies = told(owed("inbound", content), Shape(concatenation="udh"))
    assert [(body.registered_delivery, body.source) for body in bodies] == [(0, "14155550199")] * 3


@pytest.mark.parametrize(
    ("flags", "status", "names_"),
    [
        ((1,), Status.DELIVERED, [UUID]),
        ((1, 0, 2), Status.DELIVERED, [f"{UUID}-1"]),
        ((1, 0, 2), Status.FAILED, [f"{UUID}-1", f"{UUID}-3"]),
        ((3, 2), Status.UNDELIVERED, [f"{UUID}-2"]),
        ((1,), Status.SENT, []),
        ((0x11, 0x10), Status.SENT, [f"{UUID}-1", f"{UUID}-2"]),
        ((0x10,), Status.DELIVERED, []),
    ],
)
def test_which_receipts_are_owed(flags: tuple[int, ...], status: Status, names_: list[str]) -> None:
    asked = ReceiptsAsked(UUID, flags)
    assert ReceiptsAsked.of(asked.stored()) == asked
    assert asked.owed(UUID, status) == names_
    assert {uuid_of(name) for name in names_} <= {UUID}


@pytest.mark.parametrize("name", ["", "x", UUID[:-1], f"{UUID}-0", f"{UUID}-1000", f"{UUID}-x", f"{UUID}-1-2"])
def test_what_no_message_is_called(name: str) -> None:
    assert uuid_of(name) is None


def test_guesses_cost_longer_and_longer_pauses() -> None:
    guesses, now_us = Guesses(), NOON_US
    for _ in range(FREE - 1):
        guesses.failed("192.0.2.1", now_us)
    assert not guesses.is_locked("192.0.2.1", now_us)
    pause_us = FIRST_PAUSE_US
    for _ in range(12):
        guesses.failed("192.0.2.1", now_us)
        assert guesses.is_locked("192.0.2.1", now_us + pause_us - 1)
        assert not guesses.is_locked("192.0.2.1", now_us + pause_us)
        now_us += pause_us
        pause_us = min(pause_us * 2, MOST_PAUSE_US)
    assert not guesses.is_locked("192.0.2.2", now_us)
    guesses.succeeded("192.0.2.1")
    guesses.failed("192.0.2.1", now_us)
    assert not guesses.is_locked("192.0.2.1", now_us)


def test_guesses_are_counted_by_network_and_their_number_is_bounded() -> None:
    guesses = Guesses()
    for number in range(FREE):
        guesses.failed(f"2001:db8::{number:x}", NOON_US)
    assert guesses.is_locked("2001:db8::ffff", NOON_US)
    assert not guesses.is_locked("2001:db8:1::1", NOON_US)
    for number in range(MOST_ADDRESSES + 10):
        guesses.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", NOON_US)
    assert len(guesses._tries) == MOST_ADDRESSES
    assert not guesses.is_locked("2001:db8::ffff", NOON_US)


@pytest.mark.parametrize(
    ("allow", "address", "may"),
    [
        ("", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.2.0/24", "::ffff:192.0.2.1", True),
        ("192.0.2.0/24", "198.51.100.1", False),
        ("192.0.2.0/24,2001:db8::/32", "2001:db8::1", True),
        ("192.0.2.0/24", "", False),
    ],
)
def test_where_a_login_may_come_from(allow: str, address: str, *, may: bool) -> None:
    login = Login(id=UUID, system_id="a", account_id="", password_hash="", allow=allow, created_at_us=0)
    assert may_come_from(login, address) is may


@pytest.mark.parametrize(
    "fields",
    [
        {"system_id": ""}, {"system_id": "a" * 16}, {"system_id": "a b"}, {"system_id": "-a"}, {"password": ""},
        {"password": "123456789"}, {"password": "café"}, {"allow": ["nowhere"]}, {"allow": ["10.0.0.1/8"]},
        {"log": "some"},
    ],
)  # fmt: skip
def test_logins_that_cannot_be(fields: dict[str, Any]) -> None:
    given: dict[str, Any] = {"system_id": "acme", "password": "secret", "account_id": "MA", **fields}
    with pytest.raises(InvalidRequest):
        made(now_us=0, new_id=lambda _: UUID, salt=bytes(16), **given)


def test_every_error_that_a_request_can_end_with_has_a_status() -> None:
    kinds = [kind for kind, _ in STATUSES]
    # No row hides one below it.
    for number, kind in enumerate(kinds):
        assert not any(issubclass(kind, before) for before in kinds[:number]), kind
    assert status_of(errors.InvalidRequest("")) == names.SUBMIT_FAILED
    assert status_of(errors.ShuttingDown("")) == names.QUEUE_FULL
    assert status_of(errors.OutcomeUnknown("")) == names.SYSTEM_ERROR
    assert status_of(errors.PduRefused("", status=7)) == 7
