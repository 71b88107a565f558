"""Bins while the process is killed: what was answered is there, and a script goes on where it was."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from ringback.store import bins, captures
from ringback.store.captures import Capture
from ringback.store.port import Transaction
from ringback.store.sqlite import open_store
from tests.fakes.process import create_account, run, served
from tests.integration.crash.test_crash import PATIENCE_S

SENDERS = 16
ANSWERED_BEFORE_A_KILL = 200
ROUNDS = 3


@pytest.mark.parametrize("script", ["500,200..."])
async def test_every_answered_request_is_kept_once_and_in_order(tmp_path: Path, script: str) -> None:
    account = create_account(tmp_path)
    made = run("bin", "new", "t", "--script", script, "--captures", "100000", "--data-dir", str(tmp_path))
    assert made.returncode == 0, made.stderr
    answered: dict[str, int] = {}
    for number in range(ROUNDS):
        async with served(
            tmp_path, account, RINGBACK_BINS__REQUESTS_PER_S_PER_ADDRESS="0", RINGBACK_BINS__REQUESTS_PER_S_PER_BIN="0"
        ) as ringback:
            enough = asyncio.Event()
            wanted = len(answered) + ANSWERED_BEFORE_A_KILL

            async def send(name: str) -> None:
                async with aiohttp.ClientSession() as http:
                    for count in range(10_000):
                        body = f"{name}-{count}"
                        try:
                            async with http.post(f"{ringback.url}/bin/t", data=body.encode()) as answer:
                                answered[body] = answer.status
                        except aiohttp.ClientError:
                            return
                        if len(answered) >= wanted:  # noqa: B023
                            enough.set()  # noqa: B023

            senders = [asyncio.create_task(send(f"{number}-{at}")) for at in range(SENDERS)]
            async with asyncio.timeout(PATIENCE_S):
                await enough.wait()
                await ringback.kill()
                await asyncio.gather(*senders)
    kept = await all_captures(tmp_path)
    bodies = [item.body.decode() for item in kept]
    assert len(set(bodies)) == len(bodies)
    assert answered.keys() - set(bodies) == set(), "answered, and not there"
    assert len(bodies) - len(answered) <= ROUNDS * SENDERS, "only what was in flight is there without an answer"
    assert [item.number for item in kept] == list(range(1, len(kept) + 1))
    for item in kept:
        status = 500 if item.number % 2 else 200
        assert item.answered_status == status
        assert answered.get(item.body.decode(), status) == status


async def all_captures(directory: Path) -> list[Capture]:
    def look(tx: Transaction) -> list[Capture]:
        found = bins.find(tx, "t")
        assert found is not None
        return captures.whole_after(tx, found.id, 0, limit=100_000)

    store = open_store(directory, busy_timeout_s=4)
    try:
        return await store.read(look)
    finally:
        await store.close()
