"""Powerpacks: pools of numbers to send from, and which of them a recipient sees.

``Picker`` decides, in this order:

1. a number that can do the service, is not the recipient's own, and of the recipient's country if there is one;
2. with ``sticky_sender``, the number that the recipient has had before, if it is among them;
3. the kinds of number that the powerpack puts first for this service and country;
4. with ``local_connect``, a number of the recipient's area code, if there is one;
5. the number that has sent least.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ringback.model import numbers
from ringback.model.inventory import SHORTCODE

KINDS: Final = ("tollfree", "longcode", "shortcode")
MMS: Final = "mms"
SMS: Final = "sms"


class Priority(msgspec.Struct, frozen=True, kw_only=True):
    """Kinds of number for one service to one country, the preferred one first."""

    service: str
    country: str
    kinds: tuple[str, ...]


class Powerpack(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of numbers, and how to choose among them."""

    uuid: str
    account_id: str
    """The main account."""
    subaccount_id: str | None
    name: str
    sticky_sender: bool
    local_connect: bool
    app_id: str | None
    """Where what comes in for its numbers goes, whatever they are bound to themselves."""
    priorities: tuple[Priority, ...]
    created_at_us: int


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a pool."""

    number: str
    country: str
    type: str
    area_code: str
    does_sms: bool
    does_mms: bool
    load: int
    """Messages that it has sent for this powerpack, as far as that matters for spreading."""


class Picker:
    """Chooses numbers of one pool for one recipient after the other, and keeps count."""

    def __init__(self, powerpack: Powerpack, pool: Sequence[Candidate], *, service: str) -> None:
        self._powerpack = powerpack
        self._priorities = {each.country: each.kinds for each in powerpack.priorities if each.service == service}
        self._pool = [each for each in pool if (each.does_mms if service == MMS else each.does_sms)]
        self._loads = {each.number: each.load for each in self._pool}
        self._groups: dict[tuple[str, str], list[list[str]]] = {}
        self._heaps: dict[tuple[str, ...], list[tuple[int, str]]] = {}
        self._used: set[str] = set()

    def loads(self) -> dict[str, int]:
        """Return the loads of the numbers that were chosen."""
        return {number: self._loads[number] for number in self._used}

    def pick(self, recipient: str, kept: str | None = None) -> str | None:
        """Return the number to send from; ``None`` when the pool has none that can reach the recipient."""
        country = numbers.country(recipient)
        area = numbers.area_code(recipient) if self._powerpack.local_connect else ""
        groups = self._groups.get((country, area))
        if groups is None:
            groups = self._groups[(country, area)] = self._preferred(country, area)
        if kept is not None and kept != recipient and any(kept in group for group in groups):
            chosen: str | None = kept
        else:
            chosen = next((number for group in groups if (number := self._least_used(group, recipient))), None)
        if chosen is not None:
            self._loads[chosen] += 1
            self._used.add(chosen)
        return chosen

    def _preferred(self, country: str, area: str) -> list[list[str]]:
        """Return groups of numbers, the ones to take first before the others."""
        able = [each for each in self._pool if each.country == country]
        # A short code is one in its own country only.
        able = able or [each for each in self._pool if each.type != SHORTCODE]
        order = self._priorities.get(country, ())
        ranked: dict[tuple[int, bool], list[str]] = {}
        for each in able:
            kind = kind_of(each.type)
            rank = order.index(kind) if kind in order else len(order)
            is_local = bool(area) and (each.country, each.area_code) == (country, area)
            ranked.setdefault((rank, not is_local), []).append(each.number)
        return [sorted(ranked[key]) for key in sorted(ranked)]

    def _least_used(self, group: list[str], recipient: str) -> str | None:
        heap = self._heaps.get(tuple(group))
        if heap is None:
            heap = self._heaps[tuple(group)] = [(self._loads[number], number) for number in group]
            heapq.heapify(heap)
        aside: list[tuple[int, str]] = []
        chosen: str | None = None
        while heap and chosen is None:
            load, number = heapq.heappop(heap)
            if load < self._loads[number]:
                # It has been chosen since it was put there.
                heapq.heappush(heap, (self._loads[number], number))
                continue
            aside.append((load, number))
            if number != recipient:
                chosen = number
        for entry in aside:
            heapq.heappush(heap, entry)
        return chosen


def kind_of(type_: str) -> str:
    """Return the kind that priorities know a type of number by."""
    return type_ if type_ in {"tollfree", SHORTCODE} else "longcode"


def pick_all(picker: Picker, recipients: Sequence[str], kept: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the number to send from for each recipient, and the recipients that no number can reach."""
    chosen: dict[str, str] = {}
    unreachable = []
    for recipient in recipients:
        number = picker.pick(recipient, kept.get(recipient))
        if number is None:
            unreachable.append(recipient)
        else:
            chosen[recipient] = number
    return chosen, unreachable
