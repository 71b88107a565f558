"""Alerts against incidents that are known: a smaller version of ``python -m benchmarks alerts``."""

import duckdb

from benchmarks.alerts import POLICY, SETTLE_US
from ringback.analytics.alert_facts import read_facts
from ringback.model.alerts import Kind, Scope
from tests.fakes.alert_simulation import Cells, PlainEngine, facts_over, run, score
from tests.fakes.traffic import HOUR_US, Burst, Incident, Stream, fill, hour_at_us

DAY = 28
WEEKS = (0, 7, 14, 21, 28)
STREAMS = [
    Stream(
        sender=f"S{number}",
        country=country,
        carrier=carrier,
        per_hour=220,
        fails=0.03,
        silent=0.01,
        median_s=4,
        converts=0.7 if number == 1 else 0,
        phase_h=3,
        weekend=1,
        ranges=300,
    )
    for number in (1, 2)
    for country, carrier in (("IN", "404-20"), ("IN", "404-45"), ("DE", "262-01"))
]


def incident(kind: Kind, hour: float, size: float, **scope: str) -> Incident:
    """Make an incident of 80 minutes."""
    begins_us = hour_at_us(DAY * 24 + hour)
    ends_us = begins_us + 80 * 60_000_000
    return Incident(kind=kind, scope=Scope(**scope), begins_us=begins_us, ends_us=ends_us, size=size)


INCIDENTS = [
    incident(Kind.DELIVERY_DROP, 5.1, 0.4, country="IN"),
    incident(Kind.NO_RECEIPT_SPIKE, 9.1, 0.5, country="IN", carrier="404-20"),
    incident(Kind.LATENCY_RISE, 13.1, 8, sender="S2"),
    incident(Kind.PUMPING, 15.1, 400, country="LV", sender="S1"),
    incident(Kind.VOLUME_DROP, 17.1, 1.0, country="DE"),
]


async def test_incidents_are_found_once_and_a_campaign_is_none() -> None:
    burst = Burst(begins_us=hour_at_us(DAY * 24 + 9), ends_us=hour_at_us(DAY * 24 + 11), times=4, sender="S2")
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        fill(connection, seed=3, sent=STREAMS, days=WEEKS, incidents=INCIDENTS, bursts=[burst])
        engine = PlainEngine(connection)
        begins_us, ends_us = hour_at_us(DAY * 24 + 4), hour_at_us(DAY * 24 + 20)
        cells = Cells(connection, SETTLE_US, until_us=ends_us)
        done = await run(cells, engine, POLICY, begins_us=begins_us, ends_us=ends_us)

        found = score(done.alerts, INCIDENTS)
        assert [(each.kind, each.scope) for each in found.missed] == []
        assert [(each.kind, each.scope) for each in (*found.false, *found.again)] == []
        assert max(alert.raised_at_us - each.begins_us for each, alert in found.found) <= HOUR_US

        # What is counted in cells is what the database counts.
        at_us = hour_at_us(DAY * 24 + 6)
        (slid,) = facts_over(cells, at_us, at_us + 300_000_000)
        asked = await read_facts(engine, at_us=at_us, settle_us=SETTLE_US)
        assert slid.counts == asked.counts
        assert slid.errors == asked.errors
