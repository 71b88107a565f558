"""New traffic for the store of ``analytics``: ``python -m benchmarks.analytics_traffic DIRECTORY RATE SECONDS``.

Made-up lives, written as a Ringback that sends would: a message comes in, changes with its events and takes its
conversion, a commit for each tenth of a second. What has been committed is told on standard output, a JSON line each.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec

from ringback.cli.history import CONVERSION_COLUMNS, EVENT_COLUMNS, MESSAGE_COLUMNS, Row, Wish, history
from ringback.cli.history_world import world
from ringback.messaging.conversions import FLAG
from ringback.model.ids import uuid7
from ringback.store import loading, messages, sqlite
from ringback.store.port import Transaction
from ringback.store.schema import conversions, events
from ringback.store.schema import messages as message_table

EVERY_S: Final = 0.1
EVENTS_EACH: Final = 3.5
"""A message has more: whoever asks for so many messages for each event has enough."""
SEED: Final = 99

_CHANGED: Final = ("status", "sequence", "error_code", "sent_at_us", "final_at_us", "updated_at_us")
_UPDATE: Final = f"UPDATE messages SET {', '.join(f'{column} = ?' for column in _CHANGED)} WHERE uuid = ?"  # noqa: S608 - own words


class Chunk(msgspec.Struct):
    """Rows of one commit."""

    new: list[Row]
    changed: list[Row]
    events: list[Row]
    conversions: list[Row]


class Lives:
    """Lives that happen now: their messages get new ids and times as their events come."""

    def __init__(self, count: int) -> None:
        wish = Wish(messages=count, days=1, seed=SEED, until_us=time.time_ns() // 1000)
        parts = list(history(wish, world(SEED)))
        self._drawn = {row[0]: dict(zip(MESSAGE_COLUMNS, row, strict=True)) for part in parts for row in part.messages}
        self._log: Iterator[Row] = chain.from_iterable(part.events for part in parts)
        self._words = {row[0]: row[2] for part in parts for row in part.conversions}
        self._now: dict[str, dict[str, Any]] = {}

    def take(self, count: int) -> Chunk:
        """Make the next events happen now."""
        chunk = Chunk([], [], [], [])
        now_us = time.time_ns() // 1000
        for at_us, row in enumerate(islice(self._log, count), now_us - count):
            self._happen(dict(zip(EVENT_COLUMNS, row, strict=True)), at_us, chunk)
        return chunk

    def _happen(self, event: dict[str, Any], at_us: int, chunk: Chunk) -> None:
        name = event["message_uuid"]
        stand = self._now.get(name)
        if stand is None:
            stand = self._now[name] = self._drawn.pop(name) | {
                "uuid": uuid7(at_us, os.urandom(8)), "status": event["status"], "sequence": 1, "error_code": None,
                "queued_at_us": at_us, "sent_at_us": None, "final_at_us": None, "updated_at_us": at_us,
            }  # fmt: skip
            chunk.new.append(tuple(stand.values()))
        elif not event["flag"]:
            stand |= {"status": event["status"], "sequence": event["sequence"], "error_code": event["error_code"]}
            stand["sent_at_us" if event["status"] == "sent" else "final_at_us"] = at_us
            stand["updated_at_us"] = at_us
            chunk.changed.append((*(stand[column] for column in _CHANGED), stand["uuid"]))
        elif event["flag"] == FLAG:
            chunk.conversions.append((stand["uuid"], stand["account_id"], self._words[name], at_us, at_us))
        event |= {"message_uuid": stand["uuid"], "at_us": at_us}
        chunk.events.append(tuple(event.values()))


def _write(tx: Transaction, chunk: Chunk) -> int:
    loading.append(tx, message_table, MESSAGE_COLUMNS, chunk.new)
    if chunk.changed:
        tx.exec_driver_sql(_UPDATE, list(chunk.changed))
    loading.append(tx, events, EVENT_COLUMNS, chunk.events)
    loading.append(tx, conversions, CONVERSION_COLUMNS, chunk.conversions)
    return messages.last_offset(tx)


async def _run(directory: Path, rate: int, seconds: float) -> None:
    lives = Lives(round(rate * seconds / EVENTS_EACH))
    store = sqlite.open_store(directory, busy_timeout_s=10)
    await store.read(messages.last_offset)
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    begun_s, written = time.monotonic(), 0
    while (passed_s := time.monotonic() - begun_s) < seconds:
        due = min(round(passed_s * rate), written + rate) - written
        if due > 0:
            chunk = lives.take(due)
            offset = await store.write(lambda tx, chunk=chunk: _write(tx, chunk))  # type: ignore[misc]
            written += len(chunk.events)
            print(json.dumps({"offset": offset, "events": len(chunk.events), "at_s": time.time()}), flush=True)
        await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - begun_s - passed_s)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
