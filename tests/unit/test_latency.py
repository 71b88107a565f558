import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.latency import bucket_of, percentile_ms


@given(st.lists(st.integers(1_000, 10**10), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentile_is_within_its_stated_error(durations_us: list[int], fraction: float) -> None:
    counts: dict[int, int] = {}
    for duration in durations_us:
        counts[bucket_of(duration)] = counts.get(bucket_of(duration), 0) + 1
    exact_ms = sorted(durations_us)[math.ceil(fraction * len(durations_us)) - 1] / 1000
    found = percentile_ms(counts, fraction)
    assert found is not None
    assert found == pytest.approx(exact_ms, rel=0.026)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({3: 0}, 0.5) is None
