"""An account's messages, newest first, for its API: whatever is asked for, what a look may cost has a bound.

A list goes by an index that is in its order and holds what most filters ask for, so that a message which is not shown
is not read either; destinations and failures, which pick few of many, have indexes of their own. A page is found by id
alone, then its rows are read. No statement looks at more than ``LOOK_AT`` entries of an index.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest
from ringback.model.message import Message
from ringback.store.messages import HIDES_NUMBER, Filter, by_uuid
from ringback.store.port import Transaction
from ringback.store.schema import messages

LOOK_AT: Final = 1_000_000
"""Also the largest total, and the largest offset that is of use."""

FAILURES: Final = ("failed", "undelivered")
_IS_FAILURE: Final = messages.c.status.in_(sa.literal_column(f"'{status}'") for status in FAILURES)

_IN_LIST_INDEX: Final = ("status", "direction", "type", "country", "src", "powerpack_uuid")


class Page(msgspec.Struct, frozen=True):
    """A part of a list."""

    messages: list[Message]
    total: int
    """Of the whole list, counted up to ``LOOK_AT``."""


def page(tx: Transaction, wanted: Filter, *, limit: int, offset: int, look_at: int = LOOK_AT) -> Page:
    """Return a page, newest first. The other party's number of a message that hides it finds nothing.

    Raises ``InvalidRequest`` when it would take a look at more than ``look_at`` messages to know what is in it.
    """
    floor_us = _floor(tx, wanted, look_at) if _is_searched(wanted) else None
    found = _found(wanted, floor_us)
    newest = found.order_by(messages.c.queued_at_us.desc(), messages.c.uuid.desc())
    uuids = list(tx.execute(newest.limit(limit).offset(offset)).scalars())
    if len(uuids) < limit and floor_us is not None:
        raise InvalidRequest(
            f"there are more than {look_at} messages in the time asked for: "
            "name a shorter one with message_time__gte and message_time__lt"
        )
    if len(uuids) < limit and (uuids or not offset):
        # This is its end.
        total = min(offset + len(uuids), look_at)
    else:
        total = tx.execute(sa.select(sa.func.count()).select_from(found.limit(look_at).subquery())).scalar_one()
    known = by_uuid(tx, uuids)
    return Page([known[uuid] for uuid in uuids], total)


def _is_searched(wanted: Filter) -> bool:
    """Say whether entries that do not match have to be looked at, as no index picks those that do."""
    picks = wanted.dst is not None or _wants_failures(wanted)
    return not picks and any(getattr(wanted, name) is not None for name in (*_IN_LIST_INDEX, "error_code"))


def _wants_failures(wanted: Filter) -> bool:
    return wanted.status in FAILURES or (wanted.error_code is not None and wanted.error_code != "000")


def _floor(tx: Transaction, wanted: Filter, look_at: int) -> int | None:
    """Return the time up to which a search does not go back; ``None`` where it may go through all that there is."""
    newest = sa.select(messages.c.queued_at_us).where(*_within(wanted)).order_by(messages.c.queued_at_us.desc())
    return tx.execute(newest.limit(1).offset(look_at)).scalar_one_or_none()


def _found(wanted: Filter, floor_us: int | None) -> sa.Select[Any]:
    found = sa.select(messages.c.uuid).where(*_within(wanted), *_matches(wanted))
    if floor_us is not None:
        found = found.where(messages.c.queued_at_us > floor_us)
    return found


def _within(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    within: list[sa.ColumnElement[bool]] = [messages.c.account_id == wanted.account_id]
    if wanted.queued_after_us is not None:
        within.append(messages.c.queued_at_us >= wanted.queued_after_us)
    if wanted.queued_before_us is not None:
        within.append(messages.c.queued_at_us < wanted.queued_before_us)
    return within


def _matches(wanted: Filter) -> Sequence[sa.ColumnElement[bool]]:
    matches: list[sa.ColumnElement[bool]] = [
        messages.c[name] == value
        for name in (*_IN_LIST_INDEX, "error_code", "dst")
        if (value := getattr(wanted, name)) is not None
    ]
    if _wants_failures(wanted) and wanted.dst is None:
        # Written out: the index that has failures alone can serve it only so.
        matches.append(_IS_FAILURE)
    for name, shown_in in (("src", "outbound"), ("dst", "inbound")):
        if getattr(wanted, name) is not None:
            matches.append(sa.or_(messages.c.direction == shown_in, messages.c.log.not_in(HIDES_NUMBER)))
    return matches
