from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.status import FINAL, NEXT, RANK, Status, judge


def test_the_table_is_the_contracts() -> None:
    assert {(a.value, b.value) for a, following in NEXT.items() for b in following} == {
        ("queued", "sent"),
        ("queued", "failed"),
        ("sent", "delivered"),
        ("sent", "undelivered"),
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


@given(st.lists(st.sampled_from(Status), max_size=12))
def test_a_status_never_moves_backwards(reports: list[Status]) -> None:
    current = Status.QUEUED
    ranks = [RANK[current]]
    for incoming in reports:
        if judge(current, incoming) == "":
            current = incoming
            ranks.append(RANK[current])
    assert ranks == sorted(set(ranks))
