"""SMPP with the library smpp34 on the other side: its server and our links, its client and our listener."""

import asyncio

import smpp34

from ringback.carriers.port import Accepted, Rejected
from ringback.carriers.smpp import names
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.model.status import Status
from tests.fakes.ports import free_port
from tests.fakes.smsc import scripted_smsc
from tests.integration.test_smpp import LONG, Takers, bound, joined, outbound


class TheirSmsc:
    """Takes every message but those to ``15005550011``, and sends a receipt for each that asks."""

    def __init__(self, server: smpp34.Server) -> None:
        self._server = server
        self.taken: list[smpp34.SubmitSmEvent] = []
        self.bound: asyncio.Future[smpp34.Esme] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        while True:
            event = await self._server.next()
            if isinstance(event, smpp34.Esme):
                self.bound.set_result(event)
            elif isinstance(event, smpp34.SubmitSmEvent):
                await self._answer(event)

    async def _answer(self, event: smpp34.SubmitSmEvent) -> None:
        if event.destination_addr == "15005550011":
            event.reject(smpp34.ESME_RINVDSTADR)
            return
        self.taken.append(event)
        name = f"their-{len(self.taken)}"
        event.accept(name)
        if event.registered_delivery:
            esme = await self.bound
            told = f"id:{name} sub:001 dlvrd:001 submit date:2611240600 done date:2611240601 stat:DELIVRD err:000 text:"
            await esme.deliver_sm(event.source_addr, told.encode(), source_addr=event.destination_addr, esm_class=4)


async def test_our_links_with_their_server() -> None:
    port, takers = free_port(), Takers()
    server = smpp34.Server("127.0.0.1", port, system_id="theirs")
    await server.start()
    theirs = TheirSmsc(server)
    serving = asyncio.create_task(theirs.serve())
    async with bound(port, takers, password="secret") as carrier:
        assert await carrier.submit(outbound(src="Ringback")) == Accepted(carrier_refs=("their-1",))
        long = await carrier.submit(outbound(LONG, number=2))
        assert isinstance(long, Accepted)
        refused = await carrier.submit(outbound(dst="15005550011", number=3))
        assert refused == Rejected(error_code="50", detail="ESME_RINVDSTADR")
        await takers.until(lambda: len(takers.receipts) == 1 + len(long.carrier_refs))
        esme = await theirs.bound
        answer = await esme.deliver_sm("14155550100", b"Hello from a phone", source_addr="14155550199")
        assert answer.is_success
    serving.cancel()
    await server.stop()
    assert {(each.carrier_ref, each.status) for each in takers.receipts} == {
        (ref, Status.DELIVERED) for ref in ("their-1", *long.carrier_refs)
    }
    assert [each.text for each in takers.inbound] == ["Hello from a phone"]
    assert (theirs.taken[0].source_addr_ton, theirs.taken[0].source_addr) == (5, "Ringback")
    parts = [
        text_of(ShortMessage(esm_class=each.esm_class, short_message=each.short_message), "gsm")
        for each in theirs.taken[1:]
    ]
    # Their server hands out what came together in any order.
    assert joined(sorted(parts, key=lambda each: each[1].number if each[1] else 0)) == LONG


async def test_their_client_with_our_listener() -> None:
    rules = [{"dest": "15005550011", "answer": "error", "status": names.THROTTLED}]
    brought = [{"source": "14155550199", "dest": "14155550100", "text": "Hello", "after_ms": 200}]
    async with scripted_smsc(rule=rules, inbound=brought, system_id="me", password="secret") as (smsc, port):
        client = smpp34.Client("127.0.0.1", port, "me", "secret", bind_type="TRX")
        session = await client.connect()
        text = "Grüße".encode("utf-16-be")
        taken = await session.submit_sm(
            "15005550001", text, source_addr="Ringback", source_addr_ton=5, data_coding=8, registered_delivery=1
        )
        assert (taken.is_success, taken.message_id) == (True, "1")
        refused = await session.submit_sm("15005550011", b"no", source_addr="15005550100")
        assert refused.command_status == names.THROTTLED
        heard = [await session.next() for _ in range(2)]
        await session.unbind()
        await client.stop()
    (body,) = smsc.submitted
    assert (body.source_ton, body.source, text_of(body, "gsm")) == (5, "Ringback", ("Grüße", None))
    said = {each.short_message[:12] for each in heard if isinstance(each, smpp34.DeliverSmEvent)}
    assert said == {b"Hello", b"id:1 sub:001"}
    assert (smsc.counts["receipts"], smsc.counts["inbound"]) == (1, 1)
