"""Messages and their events, against a list in Python that says what is right."""

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.model.message import Event, Message
from ringback.store import feed, messages
from ringback.store.messages import HIDES_NUMBER, Filter
from ringback.store.port import Store, Transaction
from ringback.store.schema import messages as messages_table
from tests.fakes.messages import QUEUED_AT_US, message, message_uuid

NUMBERS = ("15005550001", "15005550002", "ACME")
CHOICES: dict[str, tuple[Any, ...]] = {
    "account_id": ("MAAAAAAAAAAAAAAAAAAA", "MABBBBBBBBBBBBBBBBBB"),
    "direction": ("outbound", "inbound"),
    "status": ("queued", "sent", "delivered"),
    "type": ("sms", "mms"),
    "error_code": (None, "30", "450"),
    "src": NUMBERS,
    "dst": NUMBERS,
    "country": ("US", "DE"),
}
TIMES = tuple(range(QUEUED_AT_US, QUEUED_AT_US + 4))

ROWS = st.lists(
    st.fixed_dictionaries(
        {name: st.sampled_from(values) for name, values in CHOICES.items()}
        | {
            "log": st.sampled_from(("true", *HIDES_NUMBER, "number_only")),
            "text": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
            "queued_at_us": st.sampled_from(TIMES),
        }
    ),
    max_size=25,
).map(lambda rows: [message(uuid=message_uuid(number), **row) for number, row in enumerate(rows)])

FILTERS = st.builds(
    Filter,
    **{name: st.none() | st.sampled_from([value for value in values if value]) for name, values in CHOICES.items()},
    queued_after_us=st.none() | st.sampled_from(TIMES),
    queued_before_us=st.none() | st.sampled_from(TIMES),
)


def takes(wanted: Filter, item: Message) -> bool:
    """Say what a filter means."""
    return (
        all(getattr(wanted, name) in (None, getattr(item, name)) for name in CHOICES)
        and (wanted.queued_after_us is None or item.queued_at_us >= wanted.queued_after_us)
        and (wanted.queued_before_us is None or item.queued_at_us < wanted.queued_before_us)
    )


def has_number(item: Message, number: str) -> bool:
    """Say by which numbers a message may be found."""
    shown = item.log not in HIDES_NUMBER
    return (item.src == number and (item.direction == "outbound" or shown)) or (
        item.dst == number and (item.direction == "inbound" or shown)
    )


def age(item: Message) -> tuple[int, str]:
    """Sort messages as lists show them."""
    return item.queued_at_us, item.uuid


class Look(msgspec.Struct, frozen=True):
    """What somebody asks for."""

    wanted: Filter
    number: str | None
    before: tuple[int, str] | None
    limit: int
    offset: int


LOOKS = st.builds(
    Look,
    wanted=FILTERS,
    number=st.none() | st.sampled_from(NUMBERS),
    before=st.none() | st.tuples(st.sampled_from(TIMES), st.integers(0, 24).map(message_uuid)),
    limit=st.integers(1, 8),
    offset=st.integers(0, 8),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, look=LOOKS)
async def test_lists_and_counts(store: Store, rows: list[Message], look: Look) -> None:
    def renew(tx: Transaction) -> None:
        tx.execute(messages_table.delete())
        messages.insert(tx, rows)

    def read(tx: Transaction) -> tuple[list[Message], int, list[Message]]:
        return (
            messages.page(tx, look.wanted, limit=look.limit, offset=look.offset),
            messages.count(tx, look.wanted),
            messages.newest(tx, look.wanted, number=look.number, before=look.before, limit=look.limit),
        )

    await store.write(renew)
    expected = sorted((item for item in rows if takes(look.wanted, item)), key=age, reverse=True)
    of_number = [
        item
        for item in expected
        if (look.number is None or has_number(item, look.number)) and (look.before is None or age(item) < look.before)
    ]
    page = expected[look.offset : look.offset + look.limit]
    assert await store.read(read) == (page, len(expected), of_number[: look.limit])


@pytest.mark.parametrize("lock", [True, False])
async def test_by_uuid(store: Store, lock: bool) -> None:  # noqa: FBT001 - a parameter of the test
    kept = [message(uuid=message_uuid(number), text=f"{number} ☎") for number in range(5)]
    await store.write(lambda tx: messages.insert(tx, kept))
    uuids = [message_uuid(number) for number in (3, 1, 99)]
    found = await store.write(lambda tx: messages.by_uuid(tx, uuids, lock=lock))
    assert found == {message_uuid(1): kept[1], message_uuid(3): kept[3]}
    assert await store.write(lambda tx: messages.by_uuid(tx, [], lock=lock)) == {}


@pytest.mark.parametrize(
    ("account_id", "is_found"), [(None, True), ("MAAAAAAAAAAAAAAAAAAA", True), ("MABBBBBBBBBBBBBBBBBB", False)]
)
async def test_find_keeps_to_the_account(store: Store, account_id: str | None, is_found: bool) -> None:  # noqa: FBT001
    await store.write(lambda tx: messages.insert(tx, [message()]))
    found = await store.read(lambda tx: messages.find(tx, account_id, message().uuid))
    assert (found is not None) == is_found


async def test_update_stores_a_status_change_and_nothing_else(store: Store) -> None:
    kept = [message(uuid=message_uuid(number)) for number in range(4)]
    await store.write(lambda tx: messages.insert(tx, kept))
    change = {
        "status": "sent", "sequence": 2, "error_code": None, "connector": "simulator", "carrier_ref": "c-1",
        "mcc": "310", "mnc": None, "network": "Näme", "sent_at_us": 5, "final_at_us": None, "updated_at_us": 6,
    }  # fmt: skip
    first, second, third = (
        msgspec.structs.replace(kept[0], **change),
        msgspec.structs.replace(kept[1], status="failed", error_code="30", final_at_us=7),
        msgspec.structs.replace(kept[2], text="not stored", **change | {"carrier_ref": "c-3"}),
    )
    await store.write(lambda tx: messages.update(tx, [first, second, third]))
    stored = await store.read(lambda tx: messages.page(tx, Filter(), limit=9, offset=0))
    assert stored == [kept[3], msgspec.structs.replace(third, text=kept[2].text), second, first]
    await store.write(lambda tx: messages.update(tx, kept))
    assert await store.read(lambda tx: messages.page(tx, Filter(), limit=9, offset=0)) == kept[::-1]


async def test_by_carrier_ref_and_awaiting_receipt(store: Store) -> None:
    def sent(number: int, **changes: Any) -> Message:
        taken = {"status": "sent", "connector": "simulator", "carrier_ref": f"ref-{number}"}
        return message(uuid=message_uuid(number), **taken | changes)

    kept = [
        sent(1),
        sent(2, connector="other"),
        sent(3, status="delivered"),
        sent(4, carrier_ref=None),
        sent(5),
    ]
    await store.write(lambda tx: messages.insert(tx, kept))
    refs = ["ref-1", "ref-2", "ref-3", "ref-9"]
    found = await store.write(lambda tx: messages.by_carrier_ref(tx, "simulator", refs))
    assert found == {"ref-1": kept[0], "ref-3": kept[2]}
    for limit, expected in ((9, [kept[4], kept[0]]), (1, [kept[4]])):
        assert await store.read(partial(messages.awaiting_receipt, connector="simulator", limit=limit)) == expected


async def test_events(store: Store) -> None:
    assert await store.read(messages.last_offset) == 0
    assert await store.read(messages.newest_time_us) == 0
    rows: list[dict[str, Any]] = [
        {
            "message_uuid": message_uuid(number % 2),
            "account_id": "MAAAAAAAAAAAAAAAAAAA",
            "sequence": number,
            "status": "sent",
            "flag": "late" if number == 3 else "",
            "at_us": QUEUED_AT_US - number,
            "error_code": None if number % 2 else "30",
            "detail": None if number % 3 else "Détail",
        }
        for number in range(6)
    ]
    await store.write(lambda tx: messages.add_events(tx, rows[:4]))
    await store.write(lambda tx: messages.add_events(tx, rows[4:]))
    newest = await feed.complete_to(store)
    written = await store.read(lambda tx: messages.events_after(tx, 0, up_to=newest, limit=99))
    assert written == [Event(id=event.id, **row) for event, row in zip(written, rows, strict=True)]
    offsets = [event.id for event in written]
    assert offsets == sorted(set(offsets))
    assert min(offsets) > 0
    assert await store.read(lambda tx: messages.events_after(tx, offsets[1], up_to=newest, limit=2)) == written[2:4]
    assert await store.read(lambda tx: messages.events_after(tx, 0, up_to=offsets[2], limit=99)) == written[:3]
    assert await store.read(lambda tx: messages.events_after(tx, offsets[-1], up_to=newest, limit=2)) == []
    assert await store.read(lambda tx: messages.timeline(tx, message_uuid(1))) == written[1::2]
    assert await store.read(messages.last_offset) == offsets[-1]
    # The newest is the last recorded.
    assert await store.read(messages.newest_time_us) == QUEUED_AT_US - 5
