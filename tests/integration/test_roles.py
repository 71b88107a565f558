"""One database, several processes: each with its roles, writing in turn."""

import asyncio
import fcntl
import multiprocessing
import os
from collections import Counter
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import pytest

from ringback.model.errors import StoreUnavailable
from ringback.store import messages
from ringback.store.port import LARGE_BATCH, POLITE_BATCH
from ringback.store.sqlite import open_store
from ringback.store.turn import GATE, Turn
from ringback.store.wakeups import Wakeups
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.messages import message
from tests.fakes.process import create_account, run, served

FAST = {"RINGBACK_SIMULATOR__SPEED": "20"}


async def test_roles_in_processes_of_their_own_share_the_work(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    async with (
        recording_endpoint() as endpoint,
        served(tmp_path, account, "--role", "web", **FAST) as ringback,
        served(tmp_path, account, "--role", "submit", **FAST),
        served(tmp_path, account, "--role", "deliver", **FAST),
        served(tmp_path, account, "--role", "deliver", **FAST),
        aiohttp.ClientSession() as http,
    ):
        answers = [await ringback.send(http, dst="15005550001", url=endpoint.url) for _ in range(40)]
        requests = await endpoint.wait_for(120)
    assert {status for status, _ in answers} == {202}
    said = [dict(parse_qsl(request.body.decode())) for request in requests]
    pairs = [(each["MessageUUID"], each["Status"]) for each in said]
    assert len(pairs) == len(set(pairs)) == 120


async def test_two_processes_listen_on_one_port_only_when_both_are_told(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    shared = {"RINGBACK_SERVER__SHARE_PORT": "true"}
    async with served(tmp_path, account, "--role", "web", **shared) as first:
        port = first.url.rpartition(":")[2]
        refused = run("serve", "--data-dir", str(tmp_path), "--port", port)
        assert refused.returncode == 2
        async with served(tmp_path, account, "--role", "web", "--port", port, **shared) as second:
            assert second.url == first.url


async def test_a_change_by_somebody_else_is_signalled(tmp_path: Path) -> None:
    ours = open_store(tmp_path, busy_timeout_s=30)
    theirs = open_store(tmp_path, busy_timeout_s=30)
    wakeups = Wakeups()
    hint = wakeups.listen("events")
    watch = ours.watch(wakeups)
    watching = asyncio.create_task(watch.run())
    assert await hint.wait(60)
    await theirs.write(lambda tx: messages.insert(tx, [message()]))
    assert await hint.wait(60)
    watch.stop()
    await watching
    await ours.close()
    await theirs.close()


def _hold(path: Path, pipe: Connection, is_urgent: bool = False) -> None:  # noqa: FBT001, FBT002
    with Turn(path, timeout_s=60, is_urgent=is_urgent):
        pipe.send("held")
        pipe.recv()
    pipe.send("released")


def _take_many(path: Path, pipe: Connection, count: int) -> None:
    """Take turns until each of two processes had `count` of them, or one had them twenty times over."""
    turn = Turn(path, timeout_s=60)
    taken: list[int] = []
    pipe.send("ready")
    pipe.recv()
    had: Counter[str] = Counter()
    while (len(had) < 2 or min(had.values()) < count) and len(taken) < 20 * count:
        with turn, path.with_suffix(".log").open("a+") as log:
            log.seek(0)
            had = Counter(line.split()[0] for line in log.read().splitlines())
            taken.append(had.total())
            log.write(f"{os.getpid()} {'wanted' if _has_queue(turn) else 'free'}\n")
            # As a commit does: a turn is long beside the time for which the machine may forget a process.
            log.flush()
            os.fsync(log.fileno())
    pipe.send(taken)


def test_a_turn_that_does_not_come_is_named(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    ours, theirs = multiprocessing.Pipe()
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(path, theirs))
    holder.start()
    assert ours.recv() == "held"
    turn = Turn(path, timeout_s=0.05)
    with pytest.raises(StoreUnavailable, match="other processes write"):
        turn.__enter__()
    ours.send("let go")
    assert ours.recv() == "released"
    with turn:
        holder.join()


def test_a_process_that_dies_loses_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    ours, theirs = multiprocessing.Pipe()
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(path, theirs))
    holder.start()
    assert ours.recv() == "held"
    holder.kill()
    with Turn(path, timeout_s=60):
        holder.join()


@pytest.mark.parametrize("is_urgent", [True, False])
def test_whoever_ends_a_turn_knows_of_urgent_ones_that_wait(tmp_path: Path, is_urgent: bool) -> None:  # noqa: FBT001
    path = tmp_path / "turn"
    ours, theirs = multiprocessing.Pipe()
    turn = Turn(path, timeout_s=60)
    with turn:
        waiting = multiprocessing.get_context("spawn").Process(target=_hold, args=(path, theirs, is_urgent))
        waiting.start()
        # A turn that ends while nobody waits at the gate says nothing about whoever comes next.
        while not _has_queue(turn):
            assert not ours.poll(0.01), "it did not wait"
    assert turn.is_wanted is is_urgent
    assert ours.recv() == "held"
    ours.send("let go")
    assert ours.recv() == "released"
    waiting.join()
    with turn:
        pass
    assert not turn.is_wanted


def _has_queue(turn: Turn) -> bool:
    try:
        fcntl.lockf(turn._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, GATE)
    except BlockingIOError:
        return True
    fcntl.lockf(turn._file, fcntl.LOCK_UN, 1, GATE)
    return False


@pytest.mark.parametrize(("shares_process", "batch"), [(True, POLITE_BATCH), (False, LARGE_BATCH)])
async def test_background_writes_are_large_only_where_no_request_waits(
    tmp_path: Path,
    shares_process: bool,  # noqa: FBT001
    batch: int,
) -> None:
    store = open_store(tmp_path, busy_timeout_s=30, shares_process=shares_process)
    assert store.background_batch() == batch
    await store.close()


def test_nobody_is_starved_of_turns(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(2):
        ours, theirs = multiprocessing.Pipe()
        processes.append(context.Process(target=_take_many, args=(path, theirs, 150)))
        processes[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        assert pipe.recv() == "ready"
    for pipe in pipes:
        pipe.send("go")
    taken = [at for pipe in pipes for at in pipe.recv()]
    for process in processes:
        process.join()
    assert sorted(taken) == list(range(len(taken))), "two held the turn at once"
    turns = [line.split() for line in path.with_suffix(".log").read_text().splitlines()]
    # Whoever waits at the gate comes next. Rows come about only while the machine has forgotten the other.
    after_wanted = [(taker, after) for (taker, state), (after, _) in pairwise(turns) if state == "wanted"]
    assert after_wanted
    assert [taker for taker, after in after_wanted if taker == after] == []
