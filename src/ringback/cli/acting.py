"""Who runs a command, for the audit log: the user of the machine."""

import getpass
from collections.abc import Callable
from typing import TypeVar

from ringback.store import audit
from ringback.store.audit import Actor
from ringback.store.port import Transaction

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
