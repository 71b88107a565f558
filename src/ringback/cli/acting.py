"""What commands do with the database, and who does it, for the audit log: the user of the machine.

Every command that changes something tells the audit log, in the transaction of the change. What people's phones are
called, texts and secrets are never told.
"""

import asyncio
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ringback.cli.options import settings_from
from ringback.store import audit
from ringback.store.audit import Actor
from ringback.store.port import Transaction
from ringback.wiring.backbone import open_backbone

T = TypeVar("T")


def actor() -> Actor:
    """Return who it is; commands come from no address."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # In a container there may be an id without a name.
        name = "unknown"
    return Actor(name, "command")


def noted(work: Callable[[Transaction, int], T], action: str, target: str) -> Callable[[Transaction, int], T]:
    """Return work that also tells the audit log, in the same transaction."""

    def both(tx: Transaction, now_us: int) -> T:
        done = work(tx, now_us)
        audit.note(tx, actor(), action, target, now_us=now_us)
        return done

    return both


def write(work: Callable[[Transaction, int], T], config: Path | None, data_dir: Path | None) -> T:
    """Do something with the database of the settings, as one transaction; ``work`` gets the time, in microseconds."""

    async def run() -> T:
        async with open_backbone(settings_from(config=config, data_dir=data_dir)) as (store, clock):
            now_us = clock.now_us()
            return await store.write(lambda tx: work(tx, now_us))

    return asyncio.run(run())


def change(
    work: Callable[[Transaction, int], T], action: str, target: str, config: Path | None, data_dir: Path | None
) -> T:
    """Change something, as ``write`` does, and tell the audit log of it."""
    return write(noted(work, action, target), config, data_dir)
