"""The live stream: nothing is missed, nothing is sent too often, and it ends when it must."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.messaging.progress import Change, Progress
from ringback.model.status import Status
from ringback.store import messages
from ringback.store.port import Transaction
from ringback.web.dashboard import live
from ringback.web.dashboard.live import EVENTS_PER_FRAME, MOST_ROWS
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.messages import message, message_uuid


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path, frame_interval_s=0.02) as running:
        yield running


@dataclass(frozen=True)
class Frame:
    id: int
    data: dict[str, Any]


@dataclass
class Stream:
    """Reads what the server sends."""

    answer: aiohttp.ClientResponse

    async def block(self) -> list[str]:
        """Return the lines up to the next empty one; none at the end of the stream."""
        lines: list[str] = []
        async with asyncio.timeout(60):
            while line := (await self.answer.content.readline()).decode():
                if line == "\n":
                    break
                lines.append(line.rstrip("\n"))
        return lines

    async def frame(self) -> Frame:
        """Return the next frame with changes."""
        while block := await self.block():
            fields = dict(line.split(": ", 1) for line in block)
            if fields.get("event") == "changes":
                return Frame(int(fields["id"]), json.loads(fields["data"]))
        raise AssertionError("the stream has ended")

    async def events(self, count: int) -> list[Frame]:
        """Return frames until they cover ``count`` events."""
        frames: list[Frame] = []
        while sum(frame.data["events"] for frame in frames) < count:
            frames.append(await self.frame())
        return frames


def store_messages(dashboard: Dashboard, first: int, count: int, *changes: Change, **fields: Any) -> Any:
    """Return work that stores messages numbered from ``first``, each with ``changes``."""
    now_us = dashboard.clock.now_us()

    def work(tx: Transaction) -> None:
        progress = Progress(dashboard.new_id)
        for number in range(first, first + count):
            times = {"queued_at_us": now_us + number, "updated_at_us": now_us + number}
            standing = message(**{"uuid": message_uuid(number), **times, **fields})
            progress.accept(standing)
            for change in changes:
                standing = progress.change(standing, change)
        progress.write(tx)

    return work


def sent(dashboard: Dashboard) -> Change:
    return Change(status=Status.SENT, at_us=dashboard.clock.now_us() + 1_000_000)


async def test_a_stream_begins_after_the_offset_of_its_page(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    await dashboard.commit(store_messages(dashboard, 0, 3))
    async with operator.get("/dashboard/live?after=1") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        stream = Stream(answer)
        assert await stream.block() == ["retry: 1500"]
        frame = await stream.frame()
        assert (frame.id, frame.data["events"]) == (3, 2)
        assert [row["id"] for row in frame.data["rows"]] == [message_uuid(1), message_uuid(2)]
        assert frame.data["rows"][0]["html"].startswith(f'<tr id="m-{message_uuid(1)}"')
        await dashboard.commit(store_messages(dashboard, 3, 1, sent(dashboard)))
        frame = await stream.frame()
        assert (frame.id, frame.data["events"]) == (5, 2)
        assert "s-sent" in frame.data["rows"][0]["html"]


async def test_without_an_offset_a_stream_begins_now(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await dashboard.commit(store_messages(dashboard, 0, 3))
    async with operator.get("/dashboard/live?after=nonsense") as answer:
        stream = Stream(answer)
        await stream.block()
        await dashboard.commit(store_messages(dashboard, 3, 1))
        assert (await stream.frame()).id == 4


async def test_a_stream_resumes_without_gaps(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    frames: list[Frame] = []
    total = 0
    for round_number in range(4):
        headers = {"Last-Event-ID": str(frames[-1].id)} if frames else {}
        async with operator.get("/dashboard/live?after=0", headers=headers) as answer:
            stream = Stream(answer)
            await dashboard.commit(store_messages(dashboard, 100 * round_number, 5))
            frames += await stream.events(5 if round_number == 0 else 10)
            total += 5 if round_number == 0 else 10
        if round_number < 3:
            await dashboard.commit(store_messages(dashboard, 100 * round_number + 50, 5))
    assert total == 35
    covered = 0
    for frame in frames:
        assert frame.id == covered + frame.data["events"]
        covered = frame.id
    assert covered == await dashboard.store.read(messages.last_offset) == 35
    rows = {row["id"] for frame in frames for row in frame.data["rows"]}
    assert len(rows) == 35


async def test_a_long_break_is_made_up_for_in_few_frames(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    count = 2 * EVENTS_PER_FRAME + 500
    await dashboard.commit(store_messages(dashboard, 0, count, callback_url=None))
    async with operator.get("/dashboard/live?after=0") as answer:
        frames = await Stream(answer).events(count)
    assert [frame.id for frame in frames] == [EVENTS_PER_FRAME, 2 * EVENTS_PER_FRAME, count]
    assert [len(frame.data["rows"]) for frame in frames] == [MOST_ROWS] * 3
    assert frames[0].data["left_out"] == EVENTS_PER_FRAME - MOST_ROWS
    assert frames[-1].data["rows"][-1]["id"] == message_uuid(count - 1)


async def test_what_happens_between_two_frames_becomes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, is_over = list[float](), asyncio.Event()

    async def pause(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        await is_over.wait()

    monkeypatch.setattr(live, "_wait", pause)
    async with (
        serve(tmp_path, frame_interval_s=1) as dashboard,
        dashboard.operator() as operator,
        operator.get("/dashboard/live?after=0") as answer,
    ):
        stream = Stream(answer)
        await stream.block()
        await dashboard.commit(store_messages(dashboard, 0, 1))
        assert (await stream.frame()).data["events"] == 1
        for number in range(1, 9):
            await dashboard.commit(store_messages(dashboard, number, 1))
        is_over.set()
        assert (await stream.frame()).data["events"] == 8
        assert pauses[0] == 1


async def test_filters_apply(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await dashboard.commit(store_messages(dashboard, 0, 1))
    await dashboard.commit(store_messages(dashboard, 1, 1, sent(dashboard)))
    await dashboard.commit(store_messages(dashboard, 2, 1, sent(dashboard), log="false"))
    cases = {
        "status=sent": ([message_uuid(1), message_uuid(2)], [message_uuid(0)]),
        "number=14155550123": ([message_uuid(0), message_uuid(1)], [message_uuid(2)]),
        "account=MAXXXXXXXXXXXXXXXXXX": ([], [message_uuid(number) for number in range(3)]),
    }
    for query, (shown, gone) in cases.items():
        async with operator.get(f"/dashboard/live?after=0&{query}") as answer:
            frame = await Stream(answer).frame()
        assert [row["id"] for row in frame.data["rows"]] == shown, query
        assert frame.data["gone"] == gone, query
    async with operator.get("/dashboard/live?after=0") as answer:
        text = json.dumps((await Stream(answer).frame()).data["rows"][2])
    assert "14155550123" not in text
    assert "141XXXXX123" in text
    async with operator.get("/dashboard/live?after=0&rows=none") as answer:
        assert (await Stream(answer).frame()).data == {"events": 5}


async def test_silence_is_broken_by_comments(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, heartbeat_s=0.02) as dashboard,
        dashboard.operator() as operator,
        operator.get("/dashboard/live") as answer,
    ):
        stream = Stream(answer)
        assert [await stream.block() for _ in range(3)] == [["retry: 1500"], [": still here"], [": still here"]]


async def test_a_stream_sees_nothing_after_its_session(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    async with operator.get("/dashboard/live?after=0") as answer:
        stream = Stream(answer)
        await stream.block()
        dashboard.clock.advance(12 * 3600)
        await dashboard.commit(store_messages(dashboard, 0, 1))
        assert await stream.block() == ["event: over", "data: session"]
        assert await stream.block() == []


async def test_the_server_stops_with_streams_open(tmp_path: Path) -> None:
    async with (
        serve(tmp_path) as dashboard,
        dashboard.operator() as operator,
        operator.get("/dashboard/live") as one,
        operator.get("/dashboard/live") as other,
    ):
        streams = [Stream(one), Stream(other)]
        for stream in streams:
            await stream.block()
        dashboard.context.stopping.set()
        dashboard.server.should_exit = True
        async with asyncio.timeout(60):
            await dashboard.serving
        assert [await stream.block() for stream in streams] == [[], []]


async def test_a_reader_who_leaves_holds_nothing_up(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    async with operator.get("/dashboard/live") as answer:
        await Stream(answer).block()
    dashboard.server.should_exit = True
    async with asyncio.timeout(60):
        await dashboard.serving
    assert dashboard.context.wakeups._waiting["events"] == set()
