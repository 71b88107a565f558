"""What the rest of Ringback asks of its database.

Behaviour of every driver:

- ``write`` runs the given function in one transaction and returns only when its commit is on disk. When the
  function raises, or the commit fails, nothing of it remains.
- With ``durable=False`` a power cut may undo what was written; nothing else does, and nothing durable is on disk before
  it. That is for leases: whoever holds one has done nothing yet that anybody would miss.
- ``read`` sees one consistent state and cannot change it.
- A database that is locked, full or away raises ``StoreUnavailable``; nothing waits for a lock longer than the busy
  timeout of the settings, nor for an answer longer than a few times that. Where a server is lost as it commits and
  cannot be asked afterwards, that is ``OutcomeUnknown``.
- The functions given run in a thread; they do no other I/O, and never wait for anything but the database.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Select

from ringback.runtime import Clock, Worker
from ringback.store.rows import RowStream, TextAnswer
from ringback.store.wakeups import Wakeups

T = TypeVar("T")

POLITE_BATCH: Final = 64
"""Items of one background write while others want to write. Whoever accepts a message waits for the write before its
own: larger batches would move more a second, and make accepting slow while they do."""
LARGE_BATCH: Final = 256
"""Items of one background write that nobody else waits for: each costs a third less."""

Transaction = Connection
"""What the functions of the noun modules take first."""


class Store(Protocol):
    """A durable store."""

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run ``work`` in one transaction, by default a durable one. Raises ``StoreUnavailable``."""
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one consistent state. Raises ``StoreUnavailable``."""
        ...

    def background_batch(self) -> int:
        """Return how many items a write should have now that nobody waits for the answer of."""
        ...

    async def clock_ahead_us(self, clock: Clock) -> int:
        """Return how much the clock by which all who use the database go is ahead of ``clock``; 0 where it is theirs.

        Raises ``StoreUnavailable``.
        """
        ...

    def watch(self, wakeups: Wakeups) -> Worker:
        """Return a worker that signals ``wakeups`` when other processes have changed something."""
        ...

    def stream(self, query: Select[Any]) -> AbstractContextManager[RowStream]:
        """Read one consistent answer to ``query``, however large, in a thread that may block.

        Its transaction lasts as long as the context. Raises ``StoreUnavailable``.
        """
        ...

    def text(self, query: Select[Any]) -> TextAnswer:
        """Read one consistent answer to ``query`` as a text that the database puts together.

        For a thread that may block. No value of it may be NULL. Raises ``StoreUnavailable``.
        """
        ...

    async def close(self) -> None:
        """Finish what runs, then let go of the database."""
        ...
