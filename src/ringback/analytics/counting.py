"""SQL that counts messages and events: from the rows, or from sums of whole days and the rows of the rest."""

from typing import Final

import msgspec
from msgspec.structs import replace

from ringback.analytics import day_sums
from ringback.analytics.day_sums import Split
from ringback.analytics.definitions import HAS_ERROR, NOT_CONVERTED, SUMS, Rules, percentiles, status_counts
from ringback.analytics.filters import Filter, attributes

QUANTILES: Final = percentiles("total_ms", (50, 95))
TOTAL_SPREAD: Final = f"{QUANTILES} AS spread"


def as_it_is(counted: str) -> str:
    return f"SELECT * FROM ({counted})"


def added(*, more: bool) -> str:
    """Return the sums of columns that are counts."""
    names = (*day_sums.COUNTS, "no_dlr", *(day_sums.MORE if more else ()))
    return ", ".join(f"coalesce(sum({name}), 0)::BIGINT AS {name}" for name in names)


def name_of(by: str | None) -> str:
    return f"{'any_value(network)' if by == 'carrier' else 'NULL'} AS name"


def only_of(by: str | None) -> str:
    return f"\n  AND {HAS_ERROR}" if by == "error" else ""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted: messages of each key, or all."""

    key: str | None = None
    """SQL over the columns of ``messages``."""
    by: str | None = None
    """The key as one of ``DIMENSIONS``, if it is one."""
    step_us: int = day_sums.DAY_US
    """What the key goes by is times of so many microseconds."""
    more: bool = False
    """With conversions and money."""
    spread: bool = False
    """With percentiles, where all messages are read anyway."""

    @property
    def keys(self) -> str:
        """The columns before the counts."""
        return "NULL AS name" if self.key is None else "key, any_value(name) AS name"

    @property
    def grouped(self) -> str:
        """How they are grouped."""
        return "" if self.key is None else " GROUP BY key"

    def of_messages(self, where: str, rules: Rules, *, spread: bool = False) -> str:
        """Return SQL that counts messages."""
        key = "" if self.key is None else f"{self.key} AS key, "
        more = f", {SUMS}, {NOT_CONVERTED}" if self.more else ""
        more += f", {TOTAL_SPREAD}" if spread else ""
        return (
            f"SELECT {key}{name_of(self.by)}, {status_counts(rules)}{more} FROM messages"
            f" WHERE {where}{only_of(self.by)}{self.grouped}"
        )

    def of_sums(self, cut: Split, own: str) -> str:
        """Return SQL that gives counts of days, not added up."""
        key = "" if self.key is None else f"{self.key} AS key, "
        name = "network" if self.by == "carrier" else "NULL"
        names = ", ".join((*day_sums.COUNTS, "no_dlr", *(day_sums.MORE if self.more else ())))
        return f"SELECT {key}{name} AS name, {names} FROM {day_sums.as_messages(cut)} WHERE true{own}"


def plain(chosen: Filter) -> Filter:
    """Return what of a filter events say themselves, and the direction."""
    return Filter(
        since_us=chosen.since_us, until_us=chosen.until_us, account_id=chosen.account_id, origin=chosen.origin,
        direction=chosen.direction, period=chosen.period, compare=chosen.compare,
    )  # fmt: skip


def own_of_events(chosen: Filter, rules: Rules) -> tuple[str, list[object]]:
    """Return what a row of ``events`` must fulfil by itself, beside its time."""
    return attributes(replace(plain(chosen), direction=()), rules)


def of_events(chosen: Filter, rules: Rules) -> tuple[str, list[object]]:
    """Return what a row of ``events`` must fulfil beside its time: to be of a message that is as the filter says."""
    own, given = own_of_events(chosen, rules)
    if plain(chosen) != chosen:
        of_messages, more = attributes(chosen, rules)
        return f"{own}\n  AND message_uuid IN (SELECT message_uuid FROM messages WHERE true{of_messages})", given + more
    if len(set(chosen.direction)) == 1:
        # Nearly all are outbound: leaving out the others is less work than looking for every one.
        among = "NOT IN" if chosen.direction[0] == "outbound" else "IN"
        own += f"\n  AND message_uuid {among} (SELECT message_uuid FROM messages WHERE direction = 'inbound')"
    return own, given
