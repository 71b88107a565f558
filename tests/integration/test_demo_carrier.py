"""The demo's carrier: every magic number ends as its page says, over SMPP as without a link."""

import re
from pathlib import Path

import pytest

from ringback.carriers.port import Inbound, Taken
from ringback.cli.demo_smsc import CarrierChoice, demo_carrier
from ringback.store import messages
from tests.data.media import PNG
from tests.docs.documents import ROOT
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import running, settings_for
from tests.integration.test_media_api import upload

ROW = re.compile(r"\| `(1500555\d{4})` \| .* \| `(\w+)` \| (?:`(\d+)` )?\|")
PAGE = (ROOT / "docs" / "simulator.md").read_text()
MAGIC = {number: (status, code or None) for number, status, code in ROW.findall(PAGE)}
EXPIRES_S = 12
"""For the number that never answers: long enough that it has left before, however busy the machine is."""


@pytest.mark.parametrize("choice", ["smpp", "simulator"])
async def test_magic_numbers_end_as_their_page_says(choice: CarrierChoice, tmp_path: Path) -> None:
    assert len(MAGIC) == 21
    async with (
        demo_carrier(settings_for(tmp_path), choice) as carrier,
        running(carrier.settings) as ringback,
    ):
        uuids = {}
        for number in MAGIC:
            expiry = {"message_expiry": EXPIRES_S} if number.endswith("09") else {}
            status, answer = await ringback.send(dst=number, text="Hello. " * 30, **expiry)
            assert status == 202, answer
            (uuids[number],) = answer["message_uuid"]
        found = {number: await ringback.until_status(uuids[number], MAGIC[number][0]) for number in MAGIC}
        simulated = ringback.platform.carrier
        assert simulated is not None
        await ringback.until(lambda _: carrier.pending() + simulated.pending() == 0)
        # Receipts that came again or contradicted have changed nothing.
        last = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, list(uuids.values())))
    ends = {number: (last[uuid].status, last[uuid].error_code) for number, uuid in uuids.items()}
    assert ends == {number: (status, code) for number, (status, code) in MAGIC.items()}
    assert {number: message.error_code for number, message in found.items()} == {
        number: code for number, (_, code) in MAGIC.items()
    }
    networks = {last[uuid].mcc for number, uuid in uuids.items() if ends[number][0] != "failed"}
    assert networks <= {"310", "311"}


async def test_mms_and_messages_from_phones_go_past_the_link(tmp_path: Path) -> None:
    async with (
        demo_carrier(settings_for(tmp_path), "smpp") as carrier,
        running(carrier.settings) as ringback,
    ):
        _, uploaded = await upload(ringback, (PNG, "a.png", "image/png"))
        status, answer = await ringback.send(type="mms", media_ids=[uploaded["objects"][0]["media_id"]], text="Hello")
        assert status == 202, answer
        found = await ringback.until_status(answer["message_uuid"][0], "delivered")
        assert found.type == "mms"
        await own_number(ringback.platform.store, ringback.account.auth_id, message_url="")
        simulated = ringback.platform.carrier
        assert simulated is not None
        brought = Inbound(connector=simulated.name, carrier_ref=None, src="14155550199", dst=OURS, text="Hi")
        assert isinstance(await simulated.bring(brought), Taken)
