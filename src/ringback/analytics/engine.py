"""Who answers questions: the one process that holds the analytics file, asked from within or from beside it."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a question may cost."""

    timeout_s: float
    rows: int
    """More than these are left out, and the answer says so."""


PAGE_LIMITS: Final = Limits(timeout_s=10.0, rows=10_000)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far the analytics are."""

    state: str
    """``current``, ``behind`` or ``rebuilding``."""
    events: int
    """Events taken in."""
    behind: int
    """Events that are in the log and not yet taken in."""
    as_of_us: int
    """Everything that was committed before this time is in; UTC microseconds."""
    mark: int
    """Another number as soon as anything has been taken in: answers may be kept as long as it stays."""
    per_s: float = 0.0
    """While rebuilding: events a second."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a question gave."""

    columns: Sequence[str]
    types: Sequence[str]
    """DuckDB's names of them."""
    rows: Sequence[tuple[Any, ...]]
    cut: bool
    """Whether there were more rows than asked for."""
    took_ms: float


class Engine(Protocol):
    """Answers questions. Every method raises ``AnalyticsAway`` when nobody holds the file."""

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """Answer one SELECT with ``?`` for what is given. It is Ringback's own: nothing is checked.

        Raises ``QuestionTooLong`` (the error tree has it) when it takes longer than it may.
        """
        ...

    async def standing(self) -> Standing:
        """Say how far the projection is."""
        ...
