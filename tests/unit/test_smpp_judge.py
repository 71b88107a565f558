"""What becomes of a message from what became of its parts over SMPP."""

import pytest

from ringback.carriers.port import Accepted, Deferred, PartRejected, Rejected, SubmitOutcome, Unknown
from ringback.carriers.smpp.connection import Answer, Busy, Down, Lost, Outcome
from ringback.carriers.smpp.connector import judge

OK_A, OK_B, UNNAMED = Answer(0, "a"), Answer(0, "b"), Answer(0, "")
BAD_NUMBER, TROUBLE, OTHER = Answer(0x0B), Answer(0x08), Answer(0x400)
LOST = Lost("no answer in time")
PART_2_REFUSED = (PartRejected(part=2, error_code="50", detail="ESME_RINVDSTADR"),)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ([OK_A], Accepted(carrier_refs=("a",))),
        ([OK_A, OK_B], Accepted(carrier_refs=("a", "b"))),
        ([OK_A, OK_A], Accepted(carrier_refs=("a",))),
        ([OK_A, BAD_NUMBER], Accepted(carrier_refs=("a", ""), rejected=PART_2_REFUSED)),
        ([UNNAMED, OK_B], Accepted(carrier_refs=("unnamed m 1", "b"))),
        ([OK_A, LOST], Unknown(detail="no answer in time", taken=("a", ""))),
        ([LOST, BAD_NUMBER], Unknown(detail="no answer in time", taken=("", ""), rejected=PART_2_REFUSED)),
        ([OK_A, Down("gone")], Unknown(detail="other parts were not taken in time", taken=("a", ""))),
        ([LOST], Unknown(detail="no answer in time", taken=("",))),
        ([BAD_NUMBER], Rejected(error_code="50", detail="ESME_RINVDSTADR")),
        ([OTHER], Rejected(error_code="1000", detail="vendor 0x00000400", elsewhere=True)),
        ([Busy(2.0, "the peer throttles"), BAD_NUMBER], Rejected(error_code="50", detail="ESME_RINVDSTADR")),
        ([TROUBLE], Deferred(retry_after_s=5.0, detail="ESME_RSYSERR")),
        ([Busy(2.0, "the peer throttles")], Deferred(retry_after_s=2.0, detail="the peer throttles")),
        ([Down("gone")], Deferred(retry_after_s=1.0, detail="the link is down", reason="down")),
    ],
)
def test_parts_make_a_message(found: list[Outcome], outcome: SubmitOutcome) -> None:
    assert judge(found, "text", uuid="m") == outcome
