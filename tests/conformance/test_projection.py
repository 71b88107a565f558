"""The projection on every database: what is in the file is what the store says, whatever happens on the way."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.analytics.duck import DuckEngine
from ringback.analytics.projection import LARGE_BATCH, Projection
from ringback.analytics.sealing import Days
from ringback.metrics import Metrics
from ringback.model.message import Message
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import conversions, messages
from ringback.store.conversions import Conversion
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups
from tests.fakes import analytics_reference as reference
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message, message_uuid

SETTINGS = AnalyticsSettings(memory_mb=256, batch=3)


class Bench:
    """A store, and an analytics file that follows it."""

    def __init__(self, store: Store, clock: FakeClock, directory: Path) -> None:
        self.store = store
        self.clock = clock
        self.directory = directory
        self.engine = DuckEngine(directory, SETTINGS)
        self.projection = self.projected()

    def projected(self, *, identity: str = "store-1", settings: AnalyticsSettings = SETTINGS) -> Projection:
        """Begin the projection anew, as a process that starts does."""
        self.projection = Projection(
            store=self.store,
            identity=identity,
            file=self.engine,
            clock=self.clock,
            wakeups=Wakeups(),
            settings=settings,
            metrics=Metrics(),
            days=Days(self.directory / "days" / identity),
            large_batch=LARGE_BATCH,
        )
        return self.projection

    async def accept(self, *numbers: int, **changes: Any) -> None:
        """Let messages be queued now."""
        now_us = self.clock.now_us()
        new = [
            message(uuid=message_uuid(number), queued_at_us=now_us, updated_at_us=now_us, **changes)
            for number in numbers
        ]

        def write(tx: Transaction) -> None:
            messages.insert(tx, new)
            messages.add_events(tx, [_event(each, now_us) for each in new])

        await self.store.write(write)

    async def report(self, number: int, status: str, *, flag: str = "", **changes: Any) -> None:
        """Let a message take a status now, or record a flagged report of it."""
        now_us = self.clock.now_us()

        def write(tx: Transaction) -> None:
            found = messages.by_uuid(tx, [message_uuid(number)])[message_uuid(number)]
            if flag:
                messages.add_events(tx, [_event(msgspec.structs.replace(found, status=status), now_us, flag=flag)])
                return
            times = {"sent_at_us": now_us} if status == "sent" else {"final_at_us": now_us}
            changed = msgspec.structs.replace(
                found, status=status, sequence=found.sequence + 1, updated_at_us=now_us, **times, **changes
            )
            messages.update(tx, [changed])
            messages.add_events(tx, [_event(changed, now_us)])

        await self.store.write(write)

    async def convert(self, number: int, status: str) -> None:
        """Let a customer say something about a message."""
        now_us = self.clock.now_us()
        said = Conversion(
            message_uuid=message_uuid(number),
            account_id="MAAAAAAAAAAAAAAAAAAA",
            status=status,
            converted_at_us=now_us,
            recorded_at_us=now_us,
        )
        await self.store.write(lambda tx: conversions.add(tx, said))

    async def check(self) -> None:
        """See that the file holds what the store says, and nothing twice."""
        await self.projection.catch_up()
        found = (await self.engine.ask(reference.MESSAGES_SQL)).rows
        assert list(found) == await self.store.read(reference.platform_messages)
        events = (await self.engine.ask(reference.EVENTS_SQL)).rows
        assert list(events) == await self.store.read(reference.platform_events)

    async def tables(self) -> tuple[int, int]:
        """Count open and closed messages."""
        answer = await self.engine.ask(
            "SELECT (SELECT count(*) FROM open_messages), (SELECT count(*) FROM closed_messages)"
        )
        return answer.rows[0][0], answer.rows[0][1]


def _event(of: Message, at_us: int, *, flag: str = "") -> dict[str, Any]:
    return {
        "message_uuid": of.uuid,
        "account_id": of.account_id,
        "sequence": of.sequence,
        "status": of.status,
        "flag": flag,
        "at_us": at_us,
        "error_code": of.error_code,
        "detail": None,
    }


@pytest.fixture
async def bench(store: Store, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(store, clock, tmp_path / "analytics")
    async with made.engine:
        yield made


async def test_a_message_goes_from_open_to_closed(bench: Bench) -> None:
    await bench.accept(1, 2)
    await bench.check()
    assert await bench.tables() == (2, 0)
    bench.clock.advance(1)
    await bench.report(1, "sent", connector="simulator", route="default", mcc="310", mnc="260", network="Example")
    bench.clock.advance(1)
    await bench.report(1, "delivered", error_code="000")
    await bench.check()
    assert await bench.tables() == (2, 0)
    bench.clock.advance(61)
    await bench.check()
    assert await bench.tables() == (1, 1)


async def test_columns_that_are_empty_at_first_keep_their_types(bench: Bench) -> None:
    bench.projected(settings=AnalyticsSettings(memory_mb=256))
    await bench.accept(*range(1, 1500))
    await bench.accept(1500, mcc="310", mnc="260", network="Example", error_code="300", carrier_fees_rate="0.00125")
    await bench.check()


async def test_late_corrections_find_closed_messages(bench: Bench) -> None:
    await bench.accept(1, 2, 3)
    await bench.report(1, "sent")
    await bench.report(2, "failed", error_code="200")
    await bench.check()
    bench.clock.advance(30 * 3600)
    await bench.check()
    await bench.projection._keep_house()
    assert await bench.tables() == (0, 3)
    await bench.report(1, "delivered", error_code="000")
    await bench.report(2, "delivered", flag="late")
    await bench.convert(3, "CONVERTED")
    await bench.check()
    assert await bench.tables() == (0, 3)


async def test_another_database_is_noticed(bench: Bench) -> None:
    await bench.accept(1)
    await bench.check()
    bench.projected(identity="store-2")
    await bench.check()
    assert (await bench.engine.ask("SELECT value FROM meta WHERE name = 'store'")).rows == [("store-2",)]
