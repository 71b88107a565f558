"""``ringback simulate`` and ``ringback optouts``, against a running Ringback and without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.store import messages
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run

PHONE = "15005550001"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


SIMULATE = ("simulate", "inbound", "--wait", "60")


async def cli(path: Path, *arguments: str, code: int = 0) -> Any:
    ended = await asyncio.to_thread(run, *arguments, "--json", "--data-dir", str(path))
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


async def test_a_message_is_simulated_and_its_uuid_printed(ringback: Running, tmp_path: Path) -> None:
    await own_number(ringback.platform.store, ringback.account.auth_id)
    told = await cli(tmp_path, *SIMULATE, "--from", PHONE, "--to", f"+{OURS}", "--text", "hello")
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, told["message_uuid"]))
    assert found is not None
    assert (found.src, found.dst, found.text, found.type) == (PHONE, OURS, "hello", "sms")
    told = await cli(tmp_path, *SIMULATE, "--from", PHONE, "--to", OURS, "--media", "https://a.example/1")
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, told["message_uuid"]))
    assert found is not None
    assert found.type == "mms"
    told = await cli(tmp_path, *SIMULATE, "--from", PHONE, "--to", "14155550111", code=1)
    assert told["refusal"] == "the number belongs to no account"


async def test_nobody_takes_it_up_where_nobody_runs(tmp_path: Path) -> None:
    arguments = ("simulate", "inbound", "--from", PHONE, "--to", OURS, "--wait", "0")
    told = await cli(tmp_path, *arguments, code=1)
    assert (told["message_uuid"], told["refusal"]) == (None, None)
    ended = await asyncio.to_thread(run, *arguments, "--data-dir", str(tmp_path))
    assert "is Ringback running, with the role submit?" in ended.stderr


async def test_an_operator_opts_recipients_out_and_in(ringback: Running, tmp_path: Path) -> None:
    pair = ("--number", f"+{OURS}", "--recipient", PHONE)
    assert (await cli(tmp_path, "optouts", "add", *pair))["changed"]
    assert not (await cli(tmp_path, "optouts", "add", *pair))["changed"]
    _, body = await ringback.send(src=OURS, dst=PHONE)
    assert (await ringback.until_status(body["message_uuid"][0], "failed")).error_code == "200"
    listed = await cli(tmp_path, "optouts", "list", *pair)
    assert [(each["number"], each["recipient"]) for each in listed["opt_outs"]] == [(OURS, PHONE)]
    assert [(each["intent"], each["said_by"]) for each in listed["history"]] == [("optout", "operator")] * 2
    assert (await cli(tmp_path, "optouts", "remove", *pair))["changed"]
    _, body = await ringback.send(src=OURS, dst=PHONE)
    await ringback.until_status(body["message_uuid"][0], "delivered")
    assert await cli(tmp_path, "optouts", "list") == {"opt_outs": []}
    complaint = await cli(tmp_path, "optouts", "add", "--number", "!", "--recipient", PHONE, code=2)
    assert "! is not a valid phone number" in complaint


async def test_an_account_is_given_texts(ringback: Running, tmp_path: Path) -> None:
    account = ringback.account.auth_id
    told = await cli(tmp_path, "optouts", "texts", account.lower(), "--optout", "Bye.", "--help-text", "")
    assert told == {"auth_id": account, "optout": "Bye.", "optin": None, "help": ""}
    told = await cli(tmp_path, "optouts", "texts", account, "--optout", "default")
    assert told["optout"] is None
    shown = await asyncio.to_thread(run, "optouts", "texts", account, "--data-dir", str(tmp_path))
    assert shown.stdout.splitlines() == [
        "optout  as the settings say",
        "optin   as the settings say",
        "help    (no answer)",
    ]
    assert "there is no account MAX" in await cli(tmp_path, "optouts", "texts", "MAX", code=2)
    long = await cli(tmp_path, "optouts", "texts", account, "--optout", "x" * 1601, code=2)
    assert "characters long" in long
