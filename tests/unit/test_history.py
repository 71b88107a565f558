"""History that is made up: whether it could have happened."""

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from ringback.cli.history import (
    CONVERSION_COLUMNS,
    EVENT_COLUMNS,
    HOUR_US,
    MESSAGE_COLUMNS,
    Part,
    Row,
    Wish,
    history,
    hours,
)
from ringback.cli.history_world import COUNTRIES, ERROR_CODES, NETWORKS_EACH, SENDERS, World, world
from ringback.messaging.conversions import FLAG
from ringback.model.latency import bucket_of
from ringback.model.status import FINAL, INBOUND, OUTBOUND, Status, judge
from ringback.store import rollups

UNTIL_US = 1_769_904_000_000_000 + 1_234_567
WISH = Wish(messages=4_000, days=3, seed=7, until_us=UNTIL_US)
COUNT_FROM = {"outbound": OUTBOUND[0], "inbound": INBOUND[0]}


@pytest.fixture(scope="module")
def where() -> World:
    """The world of the seed."""
    return world(WISH.seed)


@pytest.fixture(scope="module")
def parts(where: World) -> list[Part]:
    """A history."""
    return list(history(WISH, where))


def named(rows: list[Row], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Give rows the names of their columns."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def messages(parts: list[Part]) -> dict[str, dict[str, Any]]:
    """Its messages by id."""
    rows = named([row for part in parts for row in part.messages], MESSAGE_COLUMNS)
    return {row["uuid"]: row for row in rows}


@pytest.fixture(scope="module")
def events(parts: list[Part]) -> list[dict[str, Any]]:
    """Its log."""
    return named([row for part in parts for row in part.events], EVENT_COLUMNS)


def test_hours_cover_the_time_and_share_out_all_messages() -> None:
    spans = list(hours(WISH))
    assert (spans[0][0], spans[-1][1]) == (UNTIL_US - 72 * HOUR_US, UNTIL_US)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(begin // HOUR_US == (end - 1) // HOUR_US for begin, end, _ in spans)
    assert sum(count for _, _, count in spans) == WISH.messages


def test_nights_and_weekends_are_quiet() -> None:
    monday_us = 1_769_990_400_000_000
    week = Wish(messages=168_000, days=7, seed=1, until_us=monday_us)
    counts = [count for _, _, count in hours(week)]
    assert counts[11] > 4 * counts[2]
    assert sum(counts[:24]) > 1.3 * sum(counts[-24:])


def test_the_same_seed_makes_the_same_history(where: World, parts: list[Part]) -> None:
    again = list(history(WISH, world(WISH.seed)))
    assert again == parts
    other = Wish(messages=100, days=1, seed=8, until_us=UNTIL_US)
    assert world(8).accounts != where.accounts
    assert next(history(other, world(8))).messages != parts[0].messages


def test_the_log_is_in_the_order_of_time_and_ends_in_time(events: list[dict[str, Any]]) -> None:
    times = [event["at_us"] for event in events]
    assert times == sorted(times)
    assert times[-1] < UNTIL_US
    assert times[0] >= UNTIL_US - 72 * HOUR_US


def test_every_life_is_one_that_the_table_allows(
    messages: dict[str, dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    assert len(messages) == WISH.messages
    stands: dict[str, dict[str, Any]] = {}
    for event in events:
        before = stands.get(event["message_uuid"])
        status = Status(event["status"])
        if before is None:
            assert status in {Status.QUEUED, Status.RECEIVED}
            assert (event["sequence"], event["flag"]) == (1, "")
        elif event["flag"] == FLAG:
            assert (event["sequence"], event["status"]) == (before["sequence"], before["status"])
            continue
        else:
            assert event["flag"] == judge(Status(before["status"]), status)
            assert event["sequence"] == before["sequence"] + (not event["flag"])
        if not event["flag"]:
            stands[event["message_uuid"]] = event
    for uuid, message in messages.items():
        last = stands[uuid]
        for column in ("account_id", "status", "sequence", "error_code"):
            assert message[column] == last[column], column
        assert message["updated_at_us"] == last["at_us"]
        ended = Status(message["status"]) in FINAL
        assert message["final_at_us"] == (last["at_us"] if ended else None)


def test_times_of_a_message_are_those_of_its_events(
    messages: dict[str, dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    at: dict[tuple[str, str], int] = {}
    for event in events:
        if not event["flag"]:
            at[event["message_uuid"], event["status"]] = event["at_us"]
    for uuid, message in messages.items():
        assert message["queued_at_us"] == at[uuid, COUNT_FROM[message["direction"]]]
        assert message["sent_at_us"] == at.get((uuid, "sent"))
    # Ids are in time order, as those of a Ringback that sends.
    assert list(messages) == sorted(messages)


def test_counts_by_hour_equal_a_recount(parts: list[Part], messages: dict[str, dict[str, Any]]) -> None:
    expected: Counter[rollups.Key] = Counter()
    for message in messages.values():
        account_id, queued_us, final_us = message["account_id"], message["queued_at_us"], message["final_at_us"]
        if message["direction"] == "inbound":
            expected[rollups.key(account_id, queued_us, rollups.INBOUND, message["status"])] += 1
            continue
        expected[rollups.key(account_id, queued_us, "status", message["status"])] += 1
        if message["status"] == "delivered":
            expected[rollups.key(account_id, queued_us, "delivered_in", str(bucket_of(final_us - queued_us)))] += 1
        elif message["error_code"]:
            expected[rollups.key(account_id, queued_us, "error", message["error_code"])] += 1
    assert sum((part.counts for part in parts), Counter()) == expected


def test_conversions_are_words_on_messages_that_expect_one(
    parts: list[Part], messages: dict[str, dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    said = named([row for part in parts for row in part.conversions], CONVERSION_COLUMNS)
    logged = [(event["message_uuid"], event["at_us"]) for event in events if event["flag"] == FLAG]
    assert sorted(logged) == sorted((each["message_uuid"], each["recorded_at_us"]) for each in said)
    for each in said:
        message = messages[each["message_uuid"]]
        assert message["trackable"]
        assert each["converted_at_us"] > message["final_at_us"]
        if each["status"] == "CONVERTED":
            assert message["status"] == "delivered"


def test_it_is_as_varied_as_a_large_sender_s(
    where: World, messages: dict[str, dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    rows = list(messages.values())
    assert 3.5 < len(events) / len(rows) < 4.5
    assert len(where.senders) == SENDERS
    assert len({carrier.network.mcc + carrier.network.mnc for carrier in where.carriers}) == 240
    assert len(where.carriers) == len(COUNTRIES) * NETWORKS_EACH
    assert len({route.name for routes in where.routes.values() for route in routes}) == 24
    assert len(ERROR_CODES) == 18
    outbound = [row for row in rows if row["direction"] == "outbound"]
    shares: defaultdict[str, float] = defaultdict(float)
    for row in outbound:
        shares[row["status"]] += 1 / len(outbound)
    assert 0.03 < shares["sent"] < 0.06
    assert 0.8 < shares["delivered"] < 0.95
    assert all(row["text"] is None for row in rows)
