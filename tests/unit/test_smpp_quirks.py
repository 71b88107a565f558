"""PDUs of SMSCs that are known, as recorded in ``tests/data/smpp``, and what each must be taken for."""

import json
from typing import Any

import msgspec
import pytest

from ringback.carriers.port import Accepted, Deferred, Rejected
from ringback.carriers.smpp import names
from ringback.carriers.smpp.configure import error_codes_of, reading_of, smpp_carrier, statuses_of, with_quirks
from ringback.carriers.smpp.connection import Answer
from ringback.carriers.smpp.connector import code_of, judge
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.pdu import DataSm, Framer, MessageResp, Pdu, ShortMessage, decode
from ringback.carriers.smpp.quirks.table import QUIRKS
from ringback.model.errors import ConfigInvalid
from ringback.settings import SmppSettings
from tests.docs.documents import ROOT
from tests.fakes.clock import FakeClock

RECORDED = sorted((ROOT / "tests" / "data" / "smpp").glob("*.json"))
FILES = [json.loads(path.read_text()) for path in RECORDED]
CASES = [
    pytest.param(file["quirks"], each["pdu"], each["means"], id=f"{path.stem}-{number}")
    for path, file in zip(RECORDED, FILES, strict=True)
    for number, each in enumerate(file["pdus"], 1)
]


def settings(quirks: str, **own: Any) -> SmppSettings:
    given = {"host": "127.0.0.1", "system_id": "me", "quirks": quirks} | own
    return msgspec.convert(with_quirks(SmppSettings(), given, name="c"), SmppSettings)


def read(digits: str, *, is_lenient: bool = False) -> Pdu:
    """One PDU, of which no byte is left over."""
    framer = Framer()
    (frame,) = framer.feed(bytes.fromhex(digits))
    assert framer.fault is None
    assert len(digits) // 2 == 16 + len(frame.content)
    return decode(frame, is_lenient=is_lenient)


def taken_for(pdu: Pdu, quirks: str) -> dict[str, Any]:
    """Say what the connector takes a PDU for, in the words of the files."""
    of = settings(quirks)
    reading, body = reading_of(of, name="c"), pdu.body
    if isinstance(body, ShortMessage | DataSm):
        if not reading.is_receipt(body):
            return {"message": {"src": body.source, "dst": body.dest, "text": text_of(body, of.default_coding)[0]}}
        said = reading.read(body)
        assert said is not None
        code = code_of(said, error_codes_of(of, name="c"))
        return {"receipt": {"ref": said.message_id, "status": said.status.value, "code": code, "state": said.state}}
    if pdu.command == names.Command.SUBMIT_SM | names.RESPONSE:
        name = body.message_id if isinstance(body, MessageResp) else ""
        answer = Answer(pdu.status, name)
        match judge([answer], of.submitted_ids, uuid="m", statuses=statuses_of(of, name="c")):
            case Accepted(carrier_refs=(ref,)):
                return {"answer": {"ref": ref}}
            case Rejected() as rejected:
                told = {"outcome": "rejected", "code": rejected.error_code, "elsewhere": rejected.elsewhere}
                return {"answer": told}
            case Deferred():
                return {"answer": {"outcome": "deferred"}}
    return {"status": names.status_name(pdu.status)}


@pytest.mark.parametrize(("quirks", "digits", "means"), CASES)
def test_what_is_recorded_is_understood(quirks: str, digits: str, means: dict[str, Any]) -> None:
    assert taken_for(read(digits, is_lenient=settings(quirks).lenient_parameters), quirks) == means


def test_every_quirk_has_something_recorded_and_says_where_it_is_from() -> None:
    assert {file["quirks"] for file in FILES} == {*QUIRKS, ""}
    origins = {each["origin"] for file in FILES for each in file["pdus"]}
    assert origins == {"recorded", "documentation", "library", "layout", "own"}
    assert all(each["source"] for file in FILES for each in file["pdus"])


def test_the_page_has_every_quirk() -> None:
    page = (ROOT / "docs" / "smpp.md").read_text()
    assert [name for name in QUIRKS if f"\n| `{name}` |" not in page] == []


@pytest.mark.parametrize("quirks", sorted(QUIRKS))
def test_quirks_are_settings_and_make_a_carrier(quirks: str) -> None:
    made = smpp_carrier(settings(quirks), name="c", clock=FakeClock(), chance=lambda: 0.0)
    assert made.name == "c"


def test_single_settings_count_more_than_quirks() -> None:
    common = SmppSettings(quirks="vonage", error_codes=("2=90",), receipted_ids="text", submitted_ids="decimal")
    of_group = msgspec.convert(with_quirks(common, {}, name="c"), SmppSettings)
    assert (of_group.submitted_ids, of_group.receipted_ids) == ("decimal", "decimal")
    codes = error_codes_of(of_group, name="c")
    assert (codes["2"], codes["3"]) == ("90", "70")
    # Of the carrier's own settings even one that says what is said by default counts.
    own = {"receipted_ids": "text", "error_codes": ["3=80"]}
    of_carrier = msgspec.convert(with_quirks(common, own, name="c"), SmppSettings)
    assert (of_carrier.submitted_ids, of_carrier.receipted_ids) == ("decimal", "text")
    assert error_codes_of(of_carrier, name="c")["3"] == "80"


def test_quirks_that_nobody_knows() -> None:
    with pytest.raises(ConfigInvalid, match="carrier c: quirks: 'odd' is not known; take one of 8x8, clickatell,"):
        settings("odd")
