"""What bins answer, over real sockets: sequences, hangs, resets and slow bodies."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from ringback.model.errors import InvalidRequest
from tests.fakes.bins import captured, connection, keeper, make_bin, until_captured, until_ended
from tests.fakes.platform import Running, running, settings_for

REQUEST = b"POST /bin/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    """A platform."""
    async with running(settings_for(tmp_path)) as started:
        yield started


async def statuses(ringback: Running, *bodies: str) -> list[int]:
    found = []
    for body in bodies:
        async with ringback.http.post(
            f"{ringback.url}/bin/t", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ) as answer:
            found.append(answer.status)
    return found


def about(message: str, status: str) -> str:
    return f"MessageUUID={message}&Status={status}&From=1&To=2"


async def test_fails_twice_then_takes_it(ringback: Running) -> None:
    await make_bin(ringback, script="500x2,200")
    assert await statuses(ringback, *"abcd") == [500, 500, 200, 200]


async def test_each_callback_by_itself(ringback: Running) -> None:
    await make_bin(ringback, script="callback:503x2,200")
    one, other = about("m1", "sent"), about("m1", "delivered")
    assert await statuses(ringback, one, other, one, one, other, other, one) == [503, 503, 503, 200, 503, 200, 200]
    assert [(item.attempt, item.answered_status) for item in await captured(ringback)] == [
        (1, 503), (1, 503), (2, 503), (3, 200), (2, 503), (3, 200), (4, 200),
    ]  # fmt: skip


async def test_a_script_that_is_set_later_begins_with_its_first_step(ringback: Running) -> None:
    await make_bin(ringback, script="500,410...")
    assert await statuses(ringback, *"abc") == [500, 410, 500]
    await keeper(ringback).change("t", {"script": "404,204"})
    assert await statuses(ringback, *"abc") == [404, 204, 204]
    await keeper(ringback).change("t", {"script": None})
    assert await statuses(ringback, "a") == [200]


async def test_requests_at_once_get_each_step_once(ringback: Running) -> None:
    await make_bin(ringback, script="500x5,429x5,200")
    found = [status for (status,) in await asyncio.gather(*(statuses(ringback, str(n)) for n in range(20)))]
    assert sorted(found) == [200] * 10 + [429] * 5 + [500] * 5


async def test_headers_and_bodies(ringback: Running) -> None:
    step: dict[str, Any] = {
        "status": 503,
        "headers": [["Retry-After", "7"], ["X", "1"], ["X", "2"]],
        "body_base64": "AP8=",
    }
    await make_bin(ringback, script={"steps": [step, {"location": "https://example.com/x"}]})
    async with ringback.http.get(f"{ringback.url}/bin/t") as answer:
        assert (answer.status, await answer.read()) == (503, b"\x00\xff")
        assert (answer.headers["Retry-After"], answer.headers.getall("X")) == ("7", ["1", "2"])
    async with ringback.http.get(f"{ringback.url}/bin/t", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "https://example.com/x")


@pytest.mark.parametrize("kind", ["hang:0.3", "reset", "200@0.3"])
async def test_no_answer_in_time(ringback: Running, kind: str) -> None:
    await make_bin(ringback, script=kind)
    async with connection(ringback) as (reader, writer), asyncio.timeout(60):
        begun_s = monotonic()
        writer.write(REQUEST)
        if kind == "reset":
            with pytest.raises(ConnectionResetError):
                await reader.read()
        elif kind.startswith("hang"):
            assert await reader.read() == b""
        else:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        took_s = monotonic() - begun_s
    assert took_s >= 0.3 or kind == "reset"
    (item,) = await until_ended(ringback)
    outcome = {"hang:0.3": "hung up", "reset": "reset", "200@0.3": "answered"}[kind]
    assert (item.answer, item.outcome) == (kind.partition(":")[0] if "@" not in kind else "answer", outcome)
    assert item.duration_us is not None
    assert item.duration_us >= 300_000 or kind == "reset"


@pytest.mark.parametrize("kind", ["hang:60", "200@60", "slow:60"])
async def test_a_sender_that_gives_up_is_told_of(ringback: Running, kind: str) -> None:
    await make_bin(ringback, script=kind)
    async with connection(ringback) as (_, writer):
        writer.write(REQUEST)
        await until_captured(ringback)
    (item,) = await until_ended(ringback)
    assert item.outcome == "gone"
    assert item.duration_us is not None
    assert 0 < item.duration_us < 60_000_000


async def test_a_slow_body_comes_in_pieces(ringback: Running) -> None:
    await make_bin(ringback, script=[{"kind": "slow", "seconds": 1, "body": "abcdefgh", "status": 201}])
    async with ringback.http.post(f"{ringback.url}/bin/t", data=b"a") as answer:
        assert answer.status == 201
        parts = [part async for part in answer.content.iter_any()]
    assert len(parts) > 1
    assert b"".join(parts) == b"abcdefgh"


async def test_held_answers_end_when_the_server_stops(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        await make_bin(ringback, script="hang:300")
        async with connection(ringback) as (reader, writer):
            writer.write(REQUEST)
            await until_captured(ringback)
            ringback.platform.supervisor.stop()
            async with asyncio.timeout(60):
                assert await reader.read() == b""


async def test_no_more_answers_are_held_than_may_be(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, bins={"max_held": 1})) as ringback:
        await make_bin(ringback, script="hang:300")
        async with connection(ringback) as (_, writer):
            writer.write(REQUEST)
            await writer.drain()
            await until_captured(ringback)
            async with ringback.http.post(f"{ringback.url}/bin/t") as answer:
                assert answer.status == 503
                assert "captured" in (await answer.json())["error"]
        assert sorted(item.outcome for item in await until_ended(ringback, count=2)) == ["gone", "overloaded"]


async def test_what_is_no_script_is_refused_and_changes_nothing(ringback: Running) -> None:
    await make_bin(ringback, script="410")
    with pytest.raises(InvalidRequest, match="'9x' is no step"):
        await keeper(ringback).change("t", {"script": "9x"})
    assert await statuses(ringback, "a") == [410]
