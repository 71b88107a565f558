"""Making, changing and removing bins, and waiting for what they capture."""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ringback.inspector import script
from ringback.inspector.capture import TOPIC
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId
from ringback.model.passwords import hashed
from ringback.runtime import POLL_S, Clock
from ringback.settings import BinsSettings
from ringback.store import bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Head
from ringback.store.port import POLITE_BATCH, Store
from ringback.store.wakeups import Wakeups

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED: Final = frozenset({"new"})
MEGABYTE: Final = 1_000_000
HOUR_S: Final = 3_600

FIELDS: Final = ("captures", "megabytes", "retention_hours", "password", "script")
"""What can be said of a bin when it is made, and later."""


class BinKeeper:
    """Bins, as those who own them deal with them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        new_salt: Callable[[], bytes],
        wakeups: Wakeups,
        settings: BinsSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._new_salt = new_salt
        self._wakeups = wakeups
        self._settings = settings

    async def create(self, name: str, given: Mapping[str, Any], *, account_id: str | None = None) -> Bin:
        """Make a bin; without a name it gets one. Raises ``InvalidRequest``."""
        now_us = self._clock.now_us()
        id_ = self._new_id(now_us)
        defaults = {
            "captures": self._settings.captures,
            "megabytes": self._settings.megabytes,
            "retention_hours": self._settings.retention_hours,
        }
        said = await asyncio.to_thread(self._read, {**defaults, **given})
        fields: dict[str, Any] = {"password_hash": None, "script": None, **said}
        new = Bin(
            id=id_,
            # Nobody guesses the random part of a uuid.
            name=checked_name(name) if name else f"b{id_[19:].replace('-', '')}",
            account_id=account_id,
            created_at_us=now_us,
            script_from=0,
            **fields,
        )
        await self._store.write(partial(bins.create, new=new, most=self._settings.max_bins))
        self._wakeups.signal(TOPIC)
        return new

    async def change(self, name: str, given: Mapping[str, Any]) -> Bin:
        """Change what is given of ``FIELDS``. Raises ``NotFound`` and ``InvalidRequest``."""
        changes = await asyncio.to_thread(self._read, given)
        changed = await self._store.write(lambda tx: bins.change(tx, name, changes))
        self._wakeups.signal(TOPIC)
        return changed

    async def clear(self, name: str) -> int:
        """Remove all that a bin holds, a little at a time; returns how many captures."""
        gone = 0
        while step := await self._store.write(partial(captures.clear, name=name, limit=POLITE_BATCH)):
            gone += step
        self._wakeups.signal(TOPIC)
        return gone

    async def delete(self, name: str) -> int:
        """Remove a bin and all that it holds; returns how many captures that was. Raises ``NotFound``."""
        await self.find(name)
        gone = await self.clear(name)
        while not await self._store.write(lambda tx: bins.remove(tx, name) or bins.find(tx, name) is None):
            # Something has been captured meanwhile.
            gone += await self.clear(name)
        self._wakeups.signal(TOPIC)
        return gone

    async def find(self, name: str) -> Bin:
        """Return a bin. Raises ``NotFound``."""
        found = await self._store.read(lambda tx: bins.find(tx, name))
        if found is None:
            raise NotFound(f"there is no bin {name[:64]}")
        return found

    async def wait(
        self, known: Bin, *, after: int, count: int, timeout_s: float, ended: Callable[[], bool] = lambda: False
    ) -> list[Head]:
        """Return the first ``count`` captures after the one of a number, once they are there.

        Returns what there is when the time is over, or, within a second, once ``ended`` says so.
        """
        listener = self._wakeups.listen(TOPIC)
        end_us = self._clock.now_us() + round(timeout_s * 1_000_000)
        try:
            while True:
                there = await self._store.read(partial(captures.count_after, bin_id=known.id, number=after, most=count))
                left_s = (end_us - self._clock.now_us()) / 1_000_000
                if there >= count or left_s <= 0 or ended():
                    return await self._store.read(partial(captures.after, bin_id=known.id, number=after, limit=count))
                await listener.wait(min(left_s, POLL_S))
        finally:
            listener.close()

    def _read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Read ``FIELDS`` as columns. Takes a while where there is a password."""
        read: dict[str, Any] = {}
        limits = self._settings
        if given.get("captures") is not None:
            read["max_captures"] = _whole(given, "captures", 1, limits.max_captures)
        if given.get("megabytes") is not None:
            read["max_bytes"] = _whole(given, "megabytes", 1, limits.max_megabytes) * MEGABYTE
        if given.get("retention_hours") is not None:
            read["retention_s"] = _whole(given, "retention_hours", 0, 876_000) * HOUR_S
        if "password" in given:
            password = given["password"]
            read["password_hash"] = hashed(password, self._new_salt()) if password else None
        if "script" in given:
            read["script"] = script.encode(script.read(given["script"]))
        return read


def checked_name(name: str) -> str:
    """Return a name in lower case. Raises ``InvalidRequest`` when it is none."""
    lower = name.lower()
    if not NAME.fullmatch(lower) or lower in RESERVED:
        raise InvalidRequest(
            "name must be up to 64 letters, digits, - and _, beginning with a letter or a digit, and not 'new'"
        )
    return lower


def _whole(given: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = given[name]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidRequest(f"{name} must be a whole number between {least} and {most}")
    return value
