"""Whose turn it is at one carrier: messages that wait for it, and those without a route yet.

Every carrier has a lane, so that one that is dead or slow fills its own places and nobody else's. A message gets its
route when its turn comes, by whichever lane looks first: one that goes elsewhere waits in the lane of its carrier from
then on. That is written with the leases and costs no commit of its own.

A carrier that is paused keeps what is in its lane until that expires. One whose link is down lets go of what another
route can take; the rest waits until it is worth trying again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ringback.messaging.screen import Refusal
from ringback.routing.choose import Facts, Try
from ringback.routing.chooser import Chooser
from ringback.store import submissions
from ringback.store.port import Transaction
from ringback.store.submissions import UNROUTED, Submission

NO_ROUTE: Final = "90"
"""Plivo's code for a message that no route leads to (contract section 3.2)."""
UNPARK_EVERY_US: Final = 2_000_000
"""What waits for a pause to end waits so long at most: a process that has not heard of its end may park more."""
UNPARK_AT_ONCE: Final = 500


class Lease(msgspec.Struct, frozen=True):
    """The terms under which a claim takes submissions."""

    token: str
    now_us: int
    until_us: int
    limit: int


class Claimed(msgspec.Struct):
    """What came of one look."""

    leased: list[Submission] = []
    refused: dict[str, Refusal] = {}
    """Of those, the ones without a route."""
    moved: int = 0
    """How many now wait in another lane."""


class Lane:
    """The lane of one carrier."""

    def __init__(self, carrier: str, chooser: Chooser) -> None:
        self._carrier = carrier
        self._chooser = chooser
        self._unparked_at_us = 0

    def is_open(self, now_us: int) -> bool:
        """Whether messages may be handed over now."""
        return not self._is_paused() and self._chooser.down_until_us(self._carrier, now_us) is None

    def must_be_durable(self) -> bool:
        """Whether a power cut must not undo a lease: it alone tells that something may have been handed over."""
        return any(route.on_unknown == "wait" for route in self._chooser.table().routes)

    def claim(self, tx: Transaction, lease: Lease) -> Claimed:
        """Lease what is to be handed over now, and let the rest wait where it belongs."""
        claimed = Claimed()
        if self.is_open(lease.now_us):
            self._unpark(tx, lease.now_us)
            own = submissions.due(tx, lane=self._carrier, now_us=lease.now_us, limit=lease.limit)
            self._lease(tx, claimed, own, lease)
        else:
            own = submissions.due(tx, lane=self._carrier, now_us=lease.now_us, limit=lease.limit)
            self._hold(tx, claimed, own, lease)
        left = lease.limit - len(claimed.leased)
        if left > 0:
            fresh = submissions.due(tx, lane=UNROUTED, now_us=lease.now_us, limit=left)
            self._route(tx, claimed, fresh, lease)
        return claimed

    def next_due_at_us(self, tx: Transaction) -> int | None:
        """Return when the next submission is due that this lane can do something about."""
        return submissions.next_due_at_us(tx, self._carrier, UNROUTED)

    def _is_paused(self) -> bool:
        carrier = self._chooser.table().carriers.get(self._carrier)
        return carrier is None or carrier.is_paused

    def _unpark(self, tx: Transaction, now_us: int) -> None:
        if now_us < self._unparked_at_us + UNPARK_EVERY_US:
            return
        made_due = submissions.unpark(tx, lane=self._carrier, now_us=now_us, limit=UNPARK_AT_ONCE)
        if made_due < UNPARK_AT_ONCE:
            self._unparked_at_us = now_us

    def _lease(self, tx: Transaction, claimed: Claimed, found: Iterable[Submission], lease: Lease) -> None:
        by_route: dict[str | None, list[Submission]] = defaultdict(list)
        for each in found:
            by_route[each.route].append(each)
        for route, theirs in by_route.items():
            claimed.leased += submissions.lease(
                tx, theirs, lane=self._carrier, route=route, token=lease.token, until_us=lease.until_us
            )

    def _hold(self, tx: Transaction, claimed: Claimed, own: Sequence[Submission], lease: Lease) -> None:
        """Deal with what is due in a lane that is closed."""
        ending = [each for each in own if each.expires_at_us <= lease.now_us or self.is_lost(each)]
        self._lease(tx, claimed, ending, lease)
        gone = {each.message_uuid for each in ending}
        staying = [each for each in own if each.message_uuid not in gone]
        if not self._is_paused():
            staying = self._divert(tx, claimed, staying, lease.now_us)
        self._park(tx, staying, lease.now_us)

    def _divert(
        self, tx: Transaction, claimed: Claimed, waiting: Sequence[Submission], now_us: int
    ) -> list[Submission]:
        """Let those go that another carrier can take now; returns the others."""
        going: dict[tuple[str, str], list[Submission]] = defaultdict(list)
        staying = []
        for each in waiting:
            route = self._chooser.elsewhere(facts(each), tries(each), now_us, but=self._carrier)
            if route is None:
                staying.append(each)
            else:
                going[route.carrier, route.name].append(each)
        self._move(tx, claimed, going)
        return staying

    def _route(self, tx: Transaction, claimed: Claimed, fresh: Sequence[Submission], lease: Lease) -> None:
        """Choose routes for those that have none."""
        going: dict[tuple[str, str], list[Submission]] = defaultdict(list)
        ours: list[Submission] = []
        for each in fresh:
            route = None
            if each.expires_at_us > lease.now_us:
                route = self._chooser.choose(facts(each), tries(each), lease.now_us)
                if route is None:
                    claimed.refused[each.message_uuid] = Refusal(NO_ROUTE, no_route(each))
            if route is None or route.carrier == self._carrier:
                ours.append(msgspec.structs.replace(each, route=route.name if route else None))
            else:
                going[route.carrier, route.name].append(each)
        self._move(tx, claimed, going)
        if self.is_open(lease.now_us):
            self._lease(tx, claimed, ours, lease)
            return
        # Not to be handed over now; what has no route, or no time left, ends all the same.
        self._lease(tx, claimed, [each for each in ours if each.route is None], lease)
        kept: dict[tuple[str, str], list[Submission]] = defaultdict(list)
        for each in ours:
            if each.route is not None:
                kept[self._carrier, each.route].append(each)
        self._move(tx, claimed, kept)

    @staticmethod
    def _move(tx: Transaction, claimed: Claimed, going: dict[tuple[str, str], list[Submission]]) -> None:
        for (carrier, route), theirs in going.items():
            submissions.move(tx, theirs, lane=carrier, route=route)
            claimed.moved += len(theirs)

    def _park(self, tx: Transaction, waiting: Sequence[Submission], now_us: int) -> None:
        """Let them be due when there is a reason to look again: each one is met once, not at every look."""
        again_us = None if self._is_paused() else self._chooser.down_until_us(self._carrier, now_us)
        rows = [
            {
                "message_uuid": each.message_uuid,
                "due_at_us": each.expires_at_us if again_us is None else min(again_us, each.expires_at_us),
                "attempts_made": each.attempts_made,
            }
            for each in waiting
        ]
        submissions.put_back(tx, rows)

    def is_lost(self, submission: Submission) -> bool:
        """Whether it may have been handed over by somebody who did not live to say so, and must not be twice."""
        if not submission.was_leased:
            return False
        route = self._chooser.table().route(submission.route)
        return route is not None and route.on_unknown == "wait"


def facts(submission: Submission) -> Facts:
    """Return what a choice goes by."""
    return Facts(
        message_uuid=submission.message_uuid,
        account_id=submission.account_id,
        src=submission.src,
        dst=submission.dst,
        type="sms" if submission.media is None else "mms",
    )


def tries(submission: Submission) -> list[Try]:
    """Return the routes that did not take it."""
    return msgspec.json.decode(submission.tried, type=list[Try]) if submission.tried else []


def no_route(submission: Submission) -> str:
    """Say why a message has no route."""
    names = ", ".join(each.route for each in tries(submission))
    return f"no other route than those that did not take it: {names}" if names else "no route leads there"
