"""Who answers questions: the one process that holds the analytics file, asked from within or from beside it."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, Protocol

import msgspec

from ringback.analytics.exports import Kind
from ringback.model.errors import AnalyticsAway


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a question may cost."""

    timeout_s: float
    rows: int
    """More than these are left out, and the answer says so."""


PAGE_LIMITS: Final = Limits(timeout_s=10.0, rows=10_000)
EXPORT_LIMITS: Final = Limits(timeout_s=120.0, rows=10_000_000)


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


class FileIsHeld(AnalyticsAway):
    """Another process has the analytics file open."""


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

    async def own(self, sql: str, *, account_id: str | None, limits: Limits) -> Answer:
        """Answer somebody's own question, of one account or, with None, of all.

        Raises ``QuestionRefused`` for what may not be asked or is malformed, with its place; see ``docs/ask.md``.
        """
        ...

    def export(
        self, sql: str, given: Sequence[object] = (), *, kind: Kind, limits: Limits = EXPORT_LIMITS
    ) -> AsyncGenerator[bytes, None]:
        """Give the rows of one SELECT as a file; Ringback's own, nothing is checked.

        The first step may raise as ``ask`` does, so take it before the answer's headers are sent. Close it when it is
        not read to its end.
        """
        ...

    def export_own(
        self, sql: str, *, account_id: str | None, kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        """Give what ``own`` would answer as a file."""
        ...
