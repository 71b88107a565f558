"""Customers over SMPP: binds of every kind, messages in every form, receipts, messages from phones; real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import Cancel, DataSm, Opaque, Query, QueryResp, Replace, ShortMessage
from ringback.carriers.smpp.shape import Concatenation, Shape, shaped
from ringback.esme import guesses
from ringback.esme.statuses import NO_CREDIT
from ringback.model import segments
from ringback.store import accounts, inbound, limits, messages, profiles, smpp_binds, smpp_logins, smpp_owed
from ringback.store.port import Transaction
from ringback.wiring.backbone import create_account
from ringback.wiring.chance import new_id
from tests.fakes.esme import PASSWORD, Esme, add_login, bind, bound_esme, connect, raw_esme, receipt, states
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for

DELIVERED = "15005550001"
UNDELIVERED = "15005550030"
PHONE = "14155550199"
GREEK = "Ωμέγα, Ringback, café {€}. " * 12
EMOJI = "From far away 🎉, with love. " * 12


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Running, int]]:
    """A platform with a login ``acme`` of its first account, and the port to bind to."""
    server = {"port": 0, **settings.pop("smpp_server", {})}
    async with running(settings_for(tmp_path, smpp_server=server, **settings)) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id)
        yield ringback, ringback.platform.smpp_ports[0]


async def found(ringback: Running, uuid: str) -> messages.Message:
    message = await ringback.platform.store.read(lambda tx: messages.find(tx, ringback.account.auth_id, uuid))
    assert message is not None
    return message


async def owed(ringback: Running) -> int:
    return sum((await ringback.platform.store.read(smpp_owed.waiting)).values())


def parts_of(text: str, concatenation: Concatenation, dst: str = DELIVERED) -> list[ShortMessage]:
    shape = Shape(concatenation=concatenation)
    return shaped(uuid=concatenation, src="15005550100", dst=dst, text=text, shape=shape)


async def submit_all(esme: Esme, bodies: list[ShortMessage]) -> list[str]:
    """Submit all at once; the ids."""
    answers = await asyncio.gather(*(esme.connection.request(Command.SUBMIT_SM, body) for body in bodies))
    assert all(isinstance(answer, Answer) and answer.status == names.OK for answer in answers), answers
    return [answer.message_id for answer in answers if isinstance(answer, Answer)]


async def status_of(esme: Esme, command: Command, body: Any) -> str:
    outcome = await esme.connection.request(command, body)
    if isinstance(outcome, Answer):
        return names.status_name(outcome.status)
    return str(getattr(outcome, "detail", ""))


async def test_a_message_is_taken_sent_and_told_of(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        uuid, failing = await esme.submitted("hello"), await esme.submitted("hello", dest=UNDELIVERED)
        await esme.until(lambda: len(esme.told) == 2)
        assert states(esme) == {uuid: ["DELIVRD"], failing: ["UNDELIV"]}
        message = await found(ringback, uuid)
    assert (message.text, message.src, message.dst) == ("hello", "15005550100", DELIVERED)
    assert (message.status, message.requester_ip, message.units) == ("delivered", "127.0.0.1", 1)
    of_failing = next(body for body in esme.told if receipt(body)["id"] == failing)
    # The receipt comes from whom the message went to; its TLVs say what its text says.
    assert (of_failing.source, of_failing.dest, of_failing.esm_class) == (UNDELIVERED, "15005550100", 0x04)
    assert dict(of_failing.tlvs) == {
        names.RECEIPTED_MESSAGE_ID: failing.encode() + b"\0",
        names.MESSAGE_STATE: b"\x05",
        names.NETWORK_ERROR_CODE: b"\x03\x00\x1e",
    }
    assert receipt(of_failing)["err"] == "030"


async def test_transmitter_and_receiver(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port):
        async with bound_esme(port, kind="transmitter") as sender:
            uuid = await sender.submitted()
            await ringback.until_status(uuid, "delivered")
            assert await owed(ringback) == 1
            async with bound_esme(port, kind="receiver") as listener:
                await listener.until(lambda: bool(listener.told))
                refused = await status_of(listener, Command.DATA_SM, DataSm(dest=DELIVERED, source="Ringback"))
        assert (states(listener), sender.told, refused) == ({uuid: ["DELIVRD"]}, [], "ESME_RINVBNDSTS")
        await ringback.until(lambda tx: not smpp_owed.waiting(tx))


@pytest.mark.parametrize("concatenation", ["udh", "udh16", "sar", "payload"])
async def test_long_messages_are_one_message_whose_parts_have_receipts(
    tmp_path: Path, concatenation: Concatenation
) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        for text in (GREEK, EMOJI):
            bodies = parts_of(text, concatenation)
            esme.told.clear()
            ids = await submit_all(esme, bodies)
            uuid = ids[0][:36]
            whole = [f"{uuid}-{number}" for number in range(1, len(bodies) + 1)] if len(bodies) > 1 else [uuid]
            assert ids == whole
            await esme.until(lambda ids=ids: len(esme.told) == len(ids))  # type: ignore[misc]
            assert states(esme) == {each: ["DELIVRD"] for each in ids}
            message = await found(ringback, uuid)
            assert (message.text, message.units) == (text, len(segments.segment(text).parts))


async def test_parts_wait_over_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, smpp_server={"port": 0})
    first, *rest = parts_of(GREEK, "udh")
    async with running(settings) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id)
        async with bound_esme(ringback.platform.smpp_ports[0]) as esme:
            ids = await submit_all(esme, [first])
    async with running(settings, account=ringback.account) as again:
        async with bound_esme(again.platform.smpp_ports[0]) as esme:
            ids += await submit_all(esme, rest)
            await esme.until(lambda: len(esme.told) == len(ids))
        assert states(esme) == {each: ["DELIVRD"] for each in ids}
        assert (await found(again, ids[0][:36])).text == GREEK


async def test_data_sm_and_alphabets(tmp_path: Path) -> None:
    texts = {
        0x00: ("@£$ {}", b"\x00\x01\x02 \x1b(\x1b)"),
        0x03: ("café", b"caf\xe9"),
        0x08: ("→ 🎉", "→ 🎉".encode("utf-16-be")),
    }
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        for coding, (text, raw) in texts.items():
            assert (await found(ringback, await esme.submitted(raw, data_coding=coding))).text == text
            body = DataSm(source="Ringback", dest=DELIVERED, data_coding=coding, tlvs=((names.MESSAGE_PAYLOAD, raw),))
            answer = await esme.connection.request(Command.DATA_SM, body)
            assert isinstance(answer, Answer)
            assert (await found(ringback, answer.message_id)).text == text


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"source": ""}, "ESME_RINVSRCADR"),
    ({"source": "a name that is long"}, "ESME_RINVSRCADR"),
    ({"dest": "12"}, "ESME_RINVDSTADR"),
    ({"dest": "15005550100"}, "ESME_RINVDSTADR"),
    ({"dest": "447700900123"}, "ESME_RINVDSTADR"),
    ({"text": ""}, "ESME_RINVMSGLEN"),
    ({"text": b"\x05\x00", "esm_class": 0x40}, "ESME_RINVMSGLEN"),
    ({"text": b"\x06\x05\x04\x0b\x84\x23\xf0x", "esm_class": 0x40}, "ESME_RSUBMITFAIL"),
    ({"data_coding": 0x04}, "ESME_RSUBMITFAIL"),
    ({"text": "", "tlvs": ((names.MESSAGE_PAYLOAD, b"x" * 2000),)}, "ESME_RSUBMITFAIL"),
    ({"esm_class": 0x08}, "ESME_RINVESMCLASS"),
    ({"schedule_time": "000000010000000R"}, "ESME_RINVSCHED"),
    ({"validity_period": "tomorrow"}, "ESME_RINVEXPIRY"),
    ({"validity_period": "200101000000000+"}, "ESME_RINVEXPIRY"),
    ({"replace_if_present": 1}, "ESME_RINVREPFLAG"),
    ({"default_message_id": 1}, "ESME_RINVDFTMSGID"),
]


async def test_what_is_refused_and_why(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        blocked = {"countries_blocked": "GB"}
        await ringback.platform.store.write(lambda tx: limits.configure(tx, ringback.account.auth_id, blocked))
        for fields, status in REFUSED:
            outcome = await esme.submit(**fields)
            assert isinstance(outcome, Answer)
            assert (fields, names.status_name(outcome.status)) == (fields, status)
        others = {
            Command.CANCEL_SM: (Cancel(message_id="1"), "ESME_RCANCELFAIL"),
            Command.REPLACE_SM: (Replace(message_id="1"), "ESME_RREPLACEFAIL"),
            Command.SUBMIT_MULTI: (Opaque(), "ESME_RINVCMDID"),
        }
        for command, (body, status) in others.items():
            assert await status_of(esme, command, body) == status
        assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 0


async def test_limits_of_requests_and_credit_are_those_of_the_api(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        store, account_id = ringback.platform.store, ringback.account.auth_id
        now_us = ringback.platform.clock.now_us()
        await esme.submitted()
        await store.write(lambda tx: limits.configure(tx, account_id, {"requests_per_5_s": 3}))
        question = Query(message_id="x")
        # What holds is read anew every two seconds; whoever asks too often by then is told to come later.
        async with asyncio.timeout(60):
            while (said := await status_of(esme, Command.QUERY_SM, question)) == "ESME_RINVMSGID":
                pass
        assert said == "ESME_RTHROTTLED"
        # It is one limit for both.
        assert (await ringback.send())[0] == 429
        await store.write(lambda tx: limits.configure(tx, account_id, {"requests_per_5_s": None}))

        def run_out(tx: Transaction) -> None:
            profiles.lay_down(tx, account_id, {"billing_mode": "prepaid"}, now_us=now_us)
            tx.exec_driver_sql("UPDATE balances SET refused_until_us = 9000000000000000")

        await store.write(run_out)
        assert await _status_within(esme, NO_CREDIT)


async def _status_within(esme: Esme, status: int) -> bool:
    """Submit until a status is answered: what holds is read anew every two seconds."""
    async with asyncio.timeout(60):
        while True:
            outcome = await esme.submit()
            if isinstance(outcome, Answer) and outcome.status == status:
                return True
            await asyncio.sleep(0.1)


async def test_asking_what_became_of_a_message(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        uuid = await esme.submitted()
        await esme.until(lambda: bool(esme.told))
        first, *_ = await submit_all(esme, parts_of(GREEK, "sar")[:1])
        async with raw_esme(port) as raw:
            await raw.bind()
            told = []
            for message_id in (uuid, first):
                raw.send(Command.QUERY_SM, Query(message_id=message_id))
                answer = await raw.read()
                assert answer is not None
                assert isinstance(answer.body, QueryResp)
                told.append(answer.body)
        of_message, of_part = told
        assert (of_message.message_id, of_message.message_state, len(of_message.final_date)) == (uuid, 2, 16)
        assert (of_part.message_state, of_part.final_date) == (6, "")
        stranger = await create_account(ringback.platform.store, ringback.platform.clock, "stranger")
        await add_login(ringback.platform.store, stranger.auth_id, "stranger")
        async with bound_esme(port, system_id="stranger") as other:
            for message_id in (uuid, first, "nothing", new_id(0)):
                assert await status_of(other, Command.QUERY_SM, Query(message_id=message_id)) == "ESME_RINVMSGID"
            assert other.told == []


@pytest.mark.parametrize(
    ("flag", "dst", "said"),
    [
        (0x00, DELIVERED, []),
        (0x01, DELIVERED, ["DELIVRD"]),
        (0x02, DELIVERED, []),
        (0x02, UNDELIVERED, ["UNDELIV"]),
        (0x03, DELIVERED, ["DELIVRD"]),
        (0x03, UNDELIVERED, []),
        (0x11, DELIVERED, ["ENROUTE", "DELIVRD"]),
    ],
)
async def test_receipts_are_those_that_were_asked_for(tmp_path: Path, flag: int, dst: str, said: list[str]) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        uuid = await esme.submitted(registered_delivery=flag, dest=dst)
        await ringback.until_status(uuid, "delivered" if dst == DELIVERED else "undelivered")
        await ringback.until(lambda tx: not smpp_owed.waiting(tx))
        # Acknowledged means that it was noted here before.
        assert sorted(states(esme).get(uuid, [])) == sorted(said)


async def test_receipts_wait_for_a_bind_and_for_a_server(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, smpp_server={"port": 0})
    async with running(settings) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id)
        async with bound_esme(ringback.platform.smpp_ports[0], kind="transmitter") as sender:
            uuids = [await sender.submitted() for _ in range(3)]
        for uuid in uuids:
            await ringback.until_status(uuid, "delivered")
    async with running(settings, account=ringback.account) as again:
        (port,) = again.platform.smpp_ports
        async with bound_esme(port) as esme:
            esme.answers = lambda _: names.SYSTEM_ERROR
            await esme.until(lambda: esme.offered >= 3)
        assert await owed(again) == 3
        # What was refused for now comes again over the next bind, in a while.
        await again.platform.store.write(lambda tx: tx.exec_driver_sql("UPDATE smpp_owed SET due_at_us = 0"))
        async with bound_esme(port) as esme:
            await esme.until(lambda: len(states(esme)) == 3)
        assert states(esme) == {uuid: ["DELIVRD"] for uuid in uuids}
        await again.until(lambda tx: not smpp_owed.waiting(tx))


async def test_a_receipt_that_is_refused_for_good_is_not_sent_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        esme.answers = lambda _: names.PERMANENT_ERROR
        await esme.submitted()
        await esme.until(lambda: esme.offered > 0)
        await ringback.until(lambda tx: not smpp_owed.waiting(tx))
        assert esme.told == []


@pytest.mark.parametrize(("text", "sent_as"), [("Hello", "udh"), (EMOJI, "udh"), (GREEK, "sar"), (EMOJI, "payload")])
async def test_messages_from_phones(tmp_path: Path, text: str, sent_as: str) -> None:
    async with serving(tmp_path, smpp_server={"concatenation": sent_as}) as (ringback, port), bound_esme(port) as esme:
        store = ringback.platform.store
        await store.write(lambda tx: smpp_logins.change(tx, "acme", {"takes_inbound": True}))
        stranger = await create_account(store, ringback.platform.clock, "stranger")
        await add_login(store, stranger.auth_id, "stranger", takes_inbound=True)
        await own_number(store, ringback.account.auth_id)
        now_us = ringback.platform.clock.now_us()
        asked = inbound.Request(
            id=new_id(now_us), src=PHONE, dst=OURS, text=text, type="sms", media_urls=(), requested_at_us=now_us
        )
        async with bound_esme(port, system_id="stranger") as other:
            await store.write(lambda tx: inbound.request(tx, asked))
            ringback.platform.wakeups.signal("inbound_requests")
            message = await ringback.until(
                lambda tx: next(iter(messages.page(tx, messages.Filter(status="delivered"), limit=1, offset=0)), None)
            )
            assert other.told == []
        read = sorted(
            ((part.number if part else 0, said) for said, part in (text_of(body, "gsm") for body in esme.told))
        )
        assert "".join(said for _, said in read) == text
        assert {(body.source, body.dest, body.registered_delivery) for body in esme.told} == {(PHONE, OURS, 0)}
        assert (message.direction, message.text) == ("inbound", text)


WRONG: list[tuple[dict[str, str], str]] = [
    ({"password": "wrong"}, "ESME_RINVPASWD"),
    ({"system_id": "nobody"}, "ESME_RINVPASWD"),
    ({"system_id": "away"}, "ESME_RBINDFAIL"),
    ({"system_id": "disabled"}, "ESME_RBINDFAIL"),
]


async def test_who_may_not_bind(tmp_path: Path) -> None:
    async with serving(tmp_path, smpp_server={"binds_per_account": 1}) as (ringback, port):
        store = ringback.platform.store
        await add_login(store, ringback.account.auth_id, "away", allow=["10.0.0.0/8", "192.0.2.7"])
        await add_login(store, ringback.account.auth_id, "near", allow=["127.0.0.1"])
        other = await create_account(store, ringback.platform.clock, "disabled")
        await add_login(store, other.auth_id, "disabled")
        await store.write(lambda tx: accounts.set_enabled(tx, other.auth_id, enabled=False))
        for login, status in WRONG:
            esme = await connect(port)
            outcome = await bind(esme, **login)  # type: ignore[arg-type]
            assert isinstance(outcome, Answer)
            assert names.status_name(outcome.status) == status
            await esme.connection.closed
        async with bound_esme(port, system_id="near"):
            one_too_many = await bind(await connect(port))
            assert isinstance(one_too_many, Answer)
            assert one_too_many.status == names.BIND_FAILED
        kept = await store.read(lambda tx: smpp_logins.find(tx, "acme"))
        assert kept is not None
        assert PASSWORD not in kept.password_hash


async def test_guessing_is_slowed_down_however_many_connections_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first pause is as long as the last may be, so that it is not over before all have asked.
    monkeypatch.setattr(guesses, "FIRST_PAUSE_US", guesses.MOST_PAUSE_US)
    async with serving(tmp_path) as (ringback, port):
        tries = [bind(await connect(port), password=f"guess{number}") for number in range(20)]
        outcomes = await asyncio.gather(*tries)
        said = [names.status_name(outcome.status) for outcome in outcomes if isinstance(outcome, Answer)]
        assert (said.count("ESME_RINVPASWD"), said.count("ESME_RBINDFAIL")) == (5, 15)
        # After the pause the right one is taken.
        clock = ringback.platform.clock
        clock.set_floor(clock.now_us() + guesses.MOST_PAUSE_US)
        outcome = await bind(await connect(port))
        assert isinstance(outcome, Answer)
        assert names.status_name(outcome.status) == "ESME_ROK"


@pytest.mark.parametrize("end", ["disconnect", "remove", "disable"])
async def test_an_operator_ends_binds(tmp_path: Path, end: str) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as esme:
        store, clock = ringback.platform.store, ringback.platform.clock
        (shown,) = await ringback.until(lambda tx: smpp_binds.now(tx, clock.now_us()))
        assert (shown.system_id, shown.kind, shown.address) == ("acme", "transceiver", "127.0.0.1")
        if end == "disable":
            await store.write(lambda tx: accounts.set_enabled(tx, ringback.account.auth_id, enabled=False))
        elif end == "remove":
            await store.write(lambda tx: smpp_logins.remove(tx, "acme"))
        else:
            changes = {"disconnected_at_us": clock.now_us()}
            await store.write(lambda tx: smpp_logins.change(tx, "acme", changes))
        async with asyncio.timeout(60):
            await esme.connection.closed
        await ringback.until(lambda tx: not smpp_binds.now(tx, clock.now_us()))
        again = await bind(await connect(port))
        assert isinstance(again, Answer)
        assert (again.status == names.OK) == (end == "disconnect")


async def test_what_is_in_hand_is_answered_before_the_server_ends(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, smpp_server={"port": 0})
    async with running(settings) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id)
        esme = await connect(ringback.platform.smpp_ports[0])
        await bind(esme)
        submits = [asyncio.create_task(esme.submit()) for _ in range(50)]
        await asyncio.sleep(0)
        ringback.platform.supervisor.stop()
        outcomes = await asyncio.gather(*submits)
    reason = await esme.connection.closed
    assert reason == "the peer has unbound"
    said = {type(outcome).__name__ if not isinstance(outcome, Answer) else "Answer" for outcome in outcomes}
    # Taken, or told to come again; of none it is unknown.
    assert said <= {"Answer", "Busy"}
    taken = {outcome.message_id for outcome in outcomes if isinstance(outcome, Answer)}
    async with running(settings, account=ringback.account) as again:
        for uuid in taken:
            await again.until_status(uuid, "delivered")


@pytest.mark.parametrize("log", ["true", "false"])
async def test_texts_are_kept_as_the_login_says(tmp_path: Path, log: str) -> None:
    async with running(settings_for(tmp_path, smpp_server={"port": 0})) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id, log=log)
        async with bound_esme(ringback.platform.smpp_ports[0]) as esme:
            uuid = await esme.submitted("a secret")
            await esme.until(lambda: bool(esme.told))
        assert (await found(ringback, uuid)).text == ("a secret" if log == "true" else None)
        assert b"secret" not in b"".join(body.short_message for body in esme.told)
