"""Circuits of endpoints: when they open, for how long, and what closes them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.circuit import (
    FIRST_COOLDOWN_US,
    HELD,
    LONGEST_COOLDOWN_US,
    Circuit,
    CircuitState,
    Finding,
    Party,
    after,
    held,
    probing,
    resumed,
)

NOW_US = 1_764_000_000_000_000
PARK_AFTER = 3


def fold(circuit: Circuit, *findings: Finding, step_us: int = 1_000_000, retry_after_us: int = 0) -> Circuit:
    """Let one finding after the other happen."""
    for number, finding in enumerate(findings):
        circuit = after(
            circuit, finding, now_us=NOW_US + number * step_us, park_after=PARK_AFTER, retry_after_us=retry_after_us
        )
    return circuit


def test_failures_in_a_row_open_it() -> None:
    almost = fold(Circuit(), *[Finding.DOWN] * (PARK_AFTER - 1))
    assert almost.state is CircuitState.CLOSED
    opened = fold(almost, Finding.DOWN)
    assert opened.state is CircuitState.OPEN
    assert opened.probe_at_us == NOW_US + FIRST_COOLDOWN_US
    assert opened.parked_at_us == NOW_US
    assert "3 attempts" in (opened.reason or "")


@pytest.mark.parametrize("finding", [Finding.UP, Finding.ANSWERS])
def test_an_answer_in_between_starts_the_count_anew(finding: Finding) -> None:
    assert fold(Circuit(), Finding.DOWN, Finding.DOWN, finding, Finding.DOWN, Finding.DOWN).state is CircuitState.CLOSED


def test_only_success_proves_an_endpoint() -> None:
    assert not fold(Circuit(), Finding.ANSWERS).proven
    assert fold(Circuit(), Finding.UP).proven
    assert fold(Circuit(), Finding.UP, Finding.ANSWERS).proven
    assert not fold(Circuit(), Finding.UP, Finding.DOWN).proven


def test_each_failed_probe_doubles_the_cooldown_up_to_ten_minutes() -> None:
    circuit = fold(Circuit(), *[Finding.DOWN] * PARK_AFTER)
    cooldowns = []
    for _ in range(7):
        cooldowns.append(circuit.cooldown_us)
        circuit = fold(probing(circuit), Finding.DOWN)
        assert circuit.state is CircuitState.OPEN
        assert circuit.parked_at_us == NOW_US + 2_000_000, "a failed probe does not begin the parking anew"
    assert cooldowns == [FIRST_COOLDOWN_US * factor for factor in (1, 2, 4, 8, 16)] + [LONGEST_COOLDOWN_US] * 2


def test_a_good_probe_closes_it() -> None:
    circuit = fold(probing(fold(Circuit(), *[Finding.DOWN] * PARK_AFTER)), Finding.UP)
    assert circuit.state is CircuitState.CLOSED
    assert (circuit.failures, circuit.cooldown_us, circuit.probe_at_us) == (0, 0, None)
    assert circuit.reopened_at_us == NOW_US


def test_retry_after_parks_at_once_for_as_long_as_it_says() -> None:
    circuit = fold(Circuit(), Finding.DOWN, retry_after_us=90_000_000)
    assert circuit.state is CircuitState.OPEN
    assert circuit.probe_at_us == NOW_US + 90_000_000


def test_gone_disables_until_somebody_resumes() -> None:
    circuit = fold(Circuit(), Finding.GONE, Finding.UP)
    assert circuit.state is CircuitState.DISABLED
    assert "410" in (circuit.reason or "")
    assert resumed(circuit).state is CircuitState.CLOSED


def test_what_a_person_held_back_is_not_counted_as_missed() -> None:
    paused = held(Circuit(), by=Party.ACCOUNT, reason="maintenance", now_us=NOW_US)
    assert paused.parked_at_us == NOW_US
    going = resumed(paused)
    assert (going.parked_at_us, going.reopened_at_us) == (None, None)


def test_the_operators_pause_stands_above_the_accounts() -> None:
    gone = fold(Circuit(), Finding.GONE)
    own = held(Circuit(), by=Party.ACCOUNT, reason="moving house", now_us=NOW_US)
    for before in (Circuit(), gone, own):
        paused = held(before, by=Party.OPERATOR, reason="unpaid", now_us=NOW_US + 5)
        assert (paused.state, paused.reason, paused.paused_by) == (CircuitState.PAUSED, "unpaid", Party.OPERATOR)
        assert paused.parked_at_us == before.parked_at_us or before.state is CircuitState.CLOSED
        for by in Party:
            assert held(paused, by=by, reason="another", now_us=NOW_US + 9) == paused
        assert resumed(paused).paused_by is None
    for before in (gone, own):
        assert held(before, by=Party.ACCOUNT, reason="another", now_us=NOW_US + 5) == before


@given(
    st.lists(
        st.one_of(st.sampled_from(Finding), st.sampled_from(["probe", "pause", "resume"])),
        max_size=40,
    )
)
def test_no_sequence_of_events_leaves_a_circuit_stuck(events: list[Finding | str]) -> None:
    circuit = Circuit()
    for number, event in enumerate(events):
        now_us = NOW_US + number
        before = circuit
        if isinstance(event, Finding):
            circuit = after(circuit, event, now_us=now_us, park_after=PARK_AFTER)
            assert before.state not in HELD or circuit == before, "only a person ends what a person began"
        elif event == "probe" and circuit.state is CircuitState.OPEN:
            circuit = probing(circuit)
        elif event == "pause":
            circuit = held(circuit, by=Party.OPERATOR, reason="x", now_us=now_us)
        elif event == "resume":
            circuit = resumed(circuit)
        assert (circuit.probe_at_us is not None) == (circuit.state is CircuitState.OPEN) or circuit.state in HELD
        if circuit.state is not CircuitState.CLOSED:
            assert circuit.parked_at_us is not None
        assert msgspec.json.decode(msgspec.json.encode(circuit), type=Circuit) == circuit
