"""Days of looks in a minute: facts for every five minutes of simulated time, and a score of the alerts that follow.

A look through the database takes a tenth of a second, and a week has 2,016 looks at five minutes. Here the messages are
counted once, in cells of five minutes, and windows are sums of cells that move along; ``check`` compares that with what
the database says for one look.
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from ringback.analytics import alert_facts
from ringback.analytics.alert_facts import (
    DAY_US,
    EDGES_MS,
    LEAST,
    LEAST_ERRORS,
    MINUTE_US,
    RECENT_US,
    WINDOW_US,
    WINDOWS,
    Counts,
    Facts,
    counts_of,
)
from ringback.analytics.alert_life import Policy, look
from ringback.analytics.alert_rules import suspects
from ringback.analytics.engine import PAGE_LIMITS, Answer, Limits, Standing
from ringback.model.alerts import EXPLAINED_BY, Alert, Kind, Scope, State
from ringback.model.ids import NewId
from tests.fakes.ids import counting_ids
from tests.fakes.traffic import Incident

CELL_US: Final = 5 * MINUTE_US
_BITS: Final = 24
_FIELDS: Final = 9 + len(EDGES_MS)
_MASK: Final = (1 << _BITS) - 1


class PlainEngine:
    """Implements ``Engine`` on a DuckDB connection, in the thread that asks."""

    def __init__(self, connection: Any, *, as_of_us: int = 0, state: str = "current") -> None:
        self._connection = connection
        self.as_of_us = as_of_us
        self.state = state

    async def standing(self) -> Standing:
        """Say what was given."""
        return Standing(state=self.state, events=0, behind=0, as_of_us=self.as_of_us, mark=0)

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """Answer one question."""
        found = self._connection.execute(sql, list(given))
        rows = found.fetchmany(limits.rows)
        columns = [each[0] for each in found.description]
        return Answer(columns=columns, types=(), rows=rows, cut=False, took_ms=0.0)


class Cells:
    """Counts by cells of five minutes, each scope's in one large number."""

    def __init__(self, connection: Any, settle_us: int, *, until_us: int) -> None:
        self.settle_us = settle_us
        cell = f"epoch_us(queued_at) // {CELL_US}"
        # One span that holds everything, cut into cells instead of windows.
        read = alert_facts.slot_sql(cell, since_us=0, end_us=until_us + settle_us, settle_us=settle_us)
        self.counts: dict[int, dict[Scope, int]] = defaultdict(lambda: defaultdict(int))
        found = connection.execute(alert_facts.parts_sql(read, settle_us) + "SELECT * FROM parts")  # noqa: S608 - own
        while rows := found.fetchmany(50_000):
            for number, country, carrier, sender, *counts in rows:
                packed = 0
                for at, count in enumerate(counts):
                    packed |= count << (at * _BITS)
                into = self.counts[number]
                for scope in _scopes(country, carrier, sender):
                    into[scope] += packed
        self.errors: dict[int, dict[tuple[Scope, str], int]] = defaultdict(lambda: defaultdict(int))
        found = connection.execute(
            f"SELECT day, country, carrier, sender, error_code, count(*) FROM ({read}) "  # noqa: S608
            "WHERE known AND status IN ('failed', 'undelivered') GROUP BY ALL"
        )
        for at, country, carrier, sender, code, count in found.fetchall():
            for scope in _scopes(country, carrier, sender):
                self.errors[at][scope, code] += count


_KNOWN: Final[dict[tuple[str, str, str], tuple[Scope, ...]]] = {}


def _scopes(country: str, carrier: str, sender: str) -> tuple[Scope, ...]:
    key = (country, carrier, sender)
    if key not in _KNOWN:
        given = itertools.product(
            ({}, {"country": country}, {"country": country, "carrier": carrier}), ({}, {"sender": sender})
        )
        _KNOWN[key] = tuple(Scope(**place, **who) for place, who in given)
    return _KNOWN[key]


class Sliding:
    """Sums of a window that moves along cell by cell."""

    def __init__(self, cells: Mapping[int, Mapping[Any, int]], length: int) -> None:
        self._cells = cells
        self._length = length
        self._inside: deque[int] = deque()
        self.sums: dict[Any, int] = defaultdict(int)

    def move_to(self, end: int) -> None:
        """Hold the cells up to ``end``, which is not included."""
        begin = end - self._length
        while self._inside and self._inside[0] < begin:
            for key, count in self._cells.get(self._inside.popleft(), {}).items():
                self.sums[key] -= count
        for cell in range(max(begin, self._inside[-1] + 1 if self._inside else begin), end):
            self._inside.append(cell)
            for key, count in self._cells.get(cell, {}).items():
                self.sums[key] += count


def facts_over(cells: Cells, begins_us: int, ends_us: int) -> Iterator[Facts]:
    """Yield the facts of a look every five minutes."""
    settle, window, recent = cells.settle_us // CELL_US, WINDOW_US // CELL_US, RECENT_US // CELL_US
    settled = {day: Sliding(cells.counts, window) for day in WINDOWS}
    newest = {day: Sliding(cells.counts, recent) for day in WINDOWS}
    errors = {day: Sliding(cells.errors, window) for day in WINDOWS}
    for end in range(begins_us // CELL_US, ends_us // CELL_US):
        for day in WINDOWS:
            at = end - day * DAY_US // CELL_US
            settled[day].move_to(at - settle)
            newest[day].move_to(at)
            errors[day].move_to(at - settle)
        scopes = {scope for day in WINDOWS for scope, packed in settled[day].sums.items() if packed & _MASK >= LEAST}
        counts = {
            scope: {
                day: _counts(settled[day].sums.get(scope, 0), newest[day].sums.get(scope, 0))
                for day in WINDOWS
                if settled[day].sums.get(scope, 0) or newest[day].sums.get(scope, 0)
            }
            for scope in scopes
        }
        keys = {key for day in WINDOWS for key, count in errors[day].sums.items() if count >= LEAST_ERRORS}
        failed: dict[Scope, dict[str, dict[int, int]]] = defaultdict(dict)
        for scope, code in keys:
            by_day = {day: errors[day].sums[scope, code] for day in WINDOWS}
            failed[scope][code] = {day: count for day, count in by_day.items() if count}
        yield Facts(end * CELL_US, cells.settle_us, counts, failed)


def _counts(settled: int, newest: int) -> Counts:
    values = [settled >> (at * _BITS) & _MASK for at in range(_FIELDS)]
    # Everything of a cell has settled, as it is counted: the first field is all messages.
    values[1] = newest & _MASK
    return counts_of(values)


class Run(msgspec.Struct, kw_only=True):
    """What came of simulated days."""

    alerts: list[Alert]
    """As they are in the end."""
    raised: list[Alert]
    """The same as they were when they were raised."""
    changed: int
    """How many times an alert turned out to be another thing."""
    looks: int


async def run(
    cells: Cells, engine: PlainEngine, policy: Policy, *, begins_us: int, ends_us: int, new_id: NewId | None = None
) -> Run:
    """Look every five minutes, as the worker does every minute, and keep the alerts in memory."""
    new_id = new_id or counting_ids()
    alerts: dict[str, Alert] = {}
    raised: list[Alert] = []
    changed = looks = 0
    for facts in facts_over(cells, begins_us, ends_us):
        looks += 1
        if doubtful := suspects(facts, policy.least):
            facts = await alert_facts.add_crowds(engine, facts, doubtful)  # noqa: PLW2901
        recent = [
            each for each in alerts.values() if each.state is State.OPEN or each.is_quiet(facts.at_us, policy.quiet_us)
        ]
        for change in look(facts, recent, policy, new_id):
            alerts[change.alert.id] = change.alert
            if change.what == "raised":
                raised.append(change.alert)
            changed += change.what == "changed"
    in_order = sorted(alerts.values(), key=lambda each: each.raised_at_us)
    return Run(alerts=in_order, raised=raised, changed=changed, looks=looks)


class Score(msgspec.Struct, kw_only=True):
    """How alerts and incidents fit."""

    found: list[tuple[Incident, Alert]]
    """Each incident that was found, with its first alert."""
    missed: list[Incident]
    true: list[Alert]
    false: list[Alert]
    again: list[Alert]
    """Alerts of an incident that had one already: neither true nor false alarms, but more than one for one thing."""


GRACE_US: Final = 75 * MINUTE_US
"""So long after its end an incident is still within the window."""


def score(alerts: Sequence[Alert], incidents: Sequence[Incident]) -> Score:
    """Match alerts and incidents: same kind or one that it explains, scopes that meet, times that overlap."""
    found: list[tuple[Incident, Alert]] = []
    result = Score(found=found, missed=[], true=[], false=[], again=[])
    taken: set[int] = set()
    for alert in alerts:
        fits = [at for at, incident in enumerate(incidents) if _fits(alert, incident)]
        new = next((at for at in fits if at not in taken), None)
        if new is not None:
            taken.add(new)
            found.append((incidents[new], alert))
            result.true.append(alert)
        elif fits:
            result.again.append(alert)
        else:
            result.false.append(alert)
    result.missed = [each for at, each in enumerate(incidents) if at not in taken]
    return result


def _fits(alert: Alert, incident: Incident) -> bool:
    if not incident.begins_us <= alert.raised_at_us <= incident.ends_us + GRACE_US:
        return False
    same = alert.kind is incident.kind or (alert.kind in EXPLAINED_BY[incident.kind] and alert.kind is not Kind.PUMPING)
    return same and (alert.scope.contains(incident.scope) or incident.scope.contains(alert.scope))
