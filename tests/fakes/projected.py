"""A store, what happens in it, and an analytics file that follows it."""

from pathlib import Path
from typing import Any

import msgspec

from ringback.analytics import offsets
from ringback.analytics.days import Days
from ringback.analytics.duck import DuckEngine
from ringback.analytics.projection import LARGE_BATCH, Projection
from ringback.analytics.received import NO_SOURCES
from ringback.metrics import Metrics
from ringback.model.message import Message
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import conversions, messages, schema
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
        self.sources = NO_SOURCES
        self.stretch = 3
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
            stretch=self.stretch,
            sources=self.sources,
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

    async def forget(self, *numbers: int) -> None:
        """Let messages be pruned from the store."""
        uuids = [message_uuid(number) for number in numbers]

        def prune(tx: Transaction) -> None:
            for table in (schema.events.c.message_uuid, schema.conversions.c.message_uuid, schema.messages.c.uuid):
                tx.execute(table.table.delete().where(table.in_(uuids)))

        await self.store.write(prune)

    async def seal_all(self) -> None:
        """Take in what there is, and seal every day that may be sealed."""
        await self.projection.catch_up()
        self.projection._kept_at_s = float("-inf")
        await self.projection._keep_house()
        while self.projection._unsealed:
            await self.projection._keep_house()

    async def begin_anew(self) -> None:
        """Empty the file, as if it had been deleted."""
        await self.engine.write(lambda con: offsets.begin_anew(con, store="store-1", why="deleted"))
        self.projected()

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
