"""The statistics of alerts: is this window's share of bad messages higher than it has been? Pure.

**Before** is the median over the windows compared with: one bad Tuesday among four does not move it. **The test** is
that of two proportions, with the spread between the windows added to the spread of chance: where every Tuesday differs
from the one before by five points, five points are no news. It is one-sided, and its chances are small: they are
handled as decimal logarithms.

**Rare things.** Of a share of one in a hundred the normal distribution knows too little: it calls one in a million what
happens once in ten thousand times. There the chance is counted out, with the beta-binomial distribution: so many bad
messages, of a share that itself differs from window to window. The larger of the two chances counts.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from ringback.analytics.alert_facts import DAYS, WEEKS

Series = Mapping[int, tuple[int, int]]
"""By window (days ago): how many are bad, of how many."""

LEAST_IN_WINDOW: Final = 20
"""Windows with fewer messages say nothing."""
LEAST_WINDOWS: Final = 3
FLOOR: Final = 0.01
RELATIVE_FLOOR: Final = 0.25
SMALLEST_FLOOR: Final = 0.002
"""The spread between windows is taken for at least a quarter of the share itself, within these two."""
RARE: Final = 0.5
DOUBTFUL_LOG10_P: Final = -2.0
"""What is rarer than half, and not likely to be chance, is counted out."""
_MAD_TO_SIGMA: Final = 1.4826


class Compared(msgspec.Struct, frozen=True):
    """A window against those before."""

    before: float
    now: float
    n_before: int
    n_now: int
    bad_now: int
    log10_p: float
    with_what: str
    """As ``Evidence.compared_with``."""

    @property
    def rise(self) -> float:
        """How much higher the share is."""
        return self.now - self.before

    def error(self) -> float:
        """Return by how much the rise may be off by chance: one standard deviation."""
        return math.sqrt(max(self.now * (1 - self.now), 1 / self.n_now) * (1 / self.n_now + 1 / self.n_before))


def windows(sizes: Mapping[int, int], least: int = LEAST_IN_WINDOW) -> tuple[str, tuple[int, ...]] | None:
    """Choose what to compare with: weeks where there are enough, else days, else the day before, else nothing."""
    weeks = tuple(day for day in WEEKS if sizes.get(day, 0) >= least)
    if len(weeks) >= LEAST_WINDOWS:
        return "weeks", weeks
    days = tuple(day for day in DAYS if sizes.get(day, 0) >= least)
    if len(days) >= LEAST_WINDOWS:
        return "days", days
    if 1 in days:
        return "day", (1,)
    return None


def compare(series: Series) -> Compared | None:
    """Compare window 0 with those before; ``None`` where there is nothing to compare, or nothing to compare with."""
    bad, n = series.get(0, (0, 0))
    chosen = windows({day: of for day, (_, of) in series.items() if day})
    if n == 0 or chosen is None:
        return None
    with_what, days = chosen
    past = [series[day] for day in days]
    before = median(hits / of for hits, of in past)
    n_before = sum(of for _, of in past)
    spread = _spread(before, past)
    pooled = (bad + before * n_before) / (n + n_before)
    error = math.sqrt(max(pooled * (1 - pooled), 1 / (n + n_before)) * (1 / n + 1 / n_before) + spread**2)
    log10_p = log10_tail((bad / n - before) / error)
    if before < RARE and log10_p < DOUBTFUL_LOG10_P:
        # Where hardly any were bad before, the spread is larger than the share, and says more.
        share = min(max(before, spread, 0.5 / n_before), RARE)
        log10_p = max(log10_p, log10_many(bad, n, share, math.hypot(spread, math.sqrt(share / n_before))))
    return Compared(before, bad / n, n_before, n, bad, log10_p, with_what)


def usual_share(series: Series) -> float | None:
    """Return the share before, ``None`` where there is nothing to compare with."""
    chosen = windows({day: of for day, (_, of) in series.items() if day})
    return None if chosen is None else median(hits / of for hits, of in map(series.__getitem__, chosen[1]))


def _spread(before: float, past: Sequence[tuple[int, int]]) -> float:
    """Estimate by how much the true share differs from window to window: what chance does not account for."""
    floor = min(max(RELATIVE_FLOOR * before, SMALLEST_FLOOR), FLOOR)
    if len(past) < LEAST_WINDOWS:
        return 2 * floor
    by_chance = median(before * (1 - before) / of for _, of in past)
    seen = (_MAD_TO_SIGMA * median(abs(hits / of - before) for hits, of in past)) ** 2
    return max(math.sqrt(max(seen - by_chance, 0.0)), floor)


def log10_tail(z: float) -> float:
    """Return the decimal logarithm of the chance that a normal variable exceeds ``z``."""
    if z < 30:
        return math.log10(0.5 * math.erfc(z / math.sqrt(2)))
    return -(z * z / 2 + math.log(z * math.sqrt(2 * math.pi))) / math.log(10)


def log10_many(bad: int, n: int, share: float, spread: float) -> float:
    """Return the decimal logarithm of the chance of ``bad`` or more of ``n``.

    The share is drawn from a beta distribution with this mean and standard deviation, which is no wider than one with
    weight 1; ``bad`` is beyond the mean.
    """
    weight = max(share * (1 - share) / spread**2 - 1, 1.0)
    alpha, beta = share * weight, (1 - share) * weight
    first = _log_choose(n, bad) + _log_beta(bad + alpha, n - bad + beta) - _log_beta(alpha, beta)
    term = total = 1.0
    for each in range(bad, n):
        term *= (n - each) / (each + 1) * (each + alpha) / (n - each - 1 + beta)
        total += term
        if term < total * 1e-9:
            break
    return (first + math.log(total)) / math.log(10)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log10_few(count: int, expected: float) -> float:
    """Return the decimal logarithm of the chance of ``count`` or fewer where ``expected`` come (Poisson)."""
    terms = [each * math.log(expected) - math.lgamma(each + 1) for each in range(count + 1)]
    most = max(terms)
    return (most - expected + math.log(sum(math.exp(term - most) for term in terms))) / math.log(10)


def quantile_ms(timed: int, over: Sequence[int], edges_ms: Sequence[int], share: float) -> float:
    """Read a quantile from counts above edges, straight between two of them; beyond the last edge it is the last."""
    slower = timed * (1 - share)
    below, left = 0.0, float(timed)
    for edge, above in zip(edges_ms, over, strict=True):
        if above <= slower:
            part = (left - slower) / (left - above) if left > above else 1.0
            return below + part * (edge - below)
        below, left = float(edge), float(above)
    return below
