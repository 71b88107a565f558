from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.status import FINAL, INBOUND, NEXT, OUTBOUND, RANK, Status, judge


def test_the_table_is_the_contracts() -> None:
    assert {(a.value, b.value) for a, following in NEXT.items() for b in following} == {
        ("queued", "sent"),
        ("queued", "failed"),
        ("sent", "delivered"),
        ("sent", "undelivered"),
        ("received", "delivered"),
        ("received", "undelivered"),
    }
    assert {status.value for status in FINAL} == {"delivered", "undelivered", "failed"}


@pytest.mark.parametrize(("current", "incoming"), list(product(Status, Status)))
def test_every_pair_is_applied_or_flagged(current: Status, incoming: Status) -> None:
    flag = judge(current, incoming)
    if flag == "":
        assert incoming in NEXT[current]
    else:
        assert incoming not in NEXT[current]
        assert flag == ("duplicate" if incoming == current else "late")


@pytest.mark.parametrize("direction", [OUTBOUND, INBOUND])
def test_a_direction_has_the_statuses_that_its_first_one_leads_to(direction: tuple[Status, ...]) -> None:
    reached, new = set(), {direction[0]}
    while new:
        reached |= new
        new = {after for status in new for after in NEXT[status]} - reached
    assert reached == set(direction)


@given(st.sampled_from([OUTBOUND[0], INBOUND[0]]), st.lists(st.sampled_from(Status), max_size=12))
def test_a_status_never_moves_backwards(first: Status, reports: list[Status]) -> None:
    current = first
    ranks = [RANK[current]]
    for incoming in reports:
        if judge(current, incoming) == "":
            current = incoming
            ranks.append(RANK[current])
    assert ranks == sorted(set(ranks))
