"""Whether an endpoint is worth trying: a circuit for each (design promise 5).

``closed``     callbacks go out.
``open``       the endpoint is parked: nothing goes out until its probe is due.
``half_open``  one callback is out as a probe; what becomes of it decides.
``paused``     the operator or its account holds its callbacks back.
``disabled``   the endpoint said that it is gone (410); its callbacks are held until somebody resumes it.

Circuits are values: a function takes one, what happened and when, and gives the next one.
"""

from enum import StrEnum
from typing import Final

import msgspec


class CircuitState(StrEnum):
    """See the module."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    PAUSED = "paused"
    DISABLED = "disabled"


HELD: Final = frozenset({CircuitState.PAUSED, CircuitState.DISABLED})
"""States that only a person ends."""

FIRST_COOLDOWN_US: Final = 30_000_000
LONGEST_COOLDOWN_US: Final = 600_000_000


class Party(StrEnum):
    """Who acts on an endpoint."""

    OPERATOR = "operator"
    ACCOUNT = "account"


class Finding(StrEnum):
    """What an attempt says about its endpoint."""

    UP = "up"
    """It took the callback."""
    ANSWERS = "answers"
    """It answered, and did not take this one: says nothing about others."""
    DOWN = "down"
    """No answer, a broken one, or one that says "not now" (5xx, 429)."""
    GONE = "gone"
    """It answered 410."""


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about an endpoint."""

    state: CircuitState = CircuitState.CLOSED
    reason: str | None = None
    paused_by: Party | None = None
    failures: int = 0
    """Attempts that found it down since the last that did not."""
    proven: bool = False
    """Whether the last attempt found it up."""
    cooldown_us: int = 0
    """How long it was parked for last; 0 when it has been up since."""
    probe_at_us: int | None = None
    parked_at_us: int | None = None
    """When it was parked last."""
    reopened_at_us: int | None = None
    """When that ended; callbacks planned between the two were held back."""


def after(circuit: Circuit, finding: Finding, *, now_us: int, park_after: int, retry_after_us: int = 0) -> Circuit:
    """Return the circuit after an attempt.

    ``park_after`` failures in a row open it, one failed probe does, and so does a ``Retry-After``
    (``retry_after_us`` above 0). Each time it is parked for twice as long as before, up to ten minutes, and for no
    less than the endpoint asked for.
    """
    if circuit.state in HELD:
        return circuit
    if finding is Finding.GONE:
        return msgspec.structs.replace(
            circuit, state=CircuitState.DISABLED, reason="answered 410 Gone", proven=False, parked_at_us=now_us
        )
    if finding is Finding.DOWN:
        return _after_failure(circuit, now_us, park_after, retry_after_us)
    reopened_at_us = circuit.reopened_at_us if circuit.state is CircuitState.CLOSED else now_us
    return msgspec.structs.replace(
        circuit,
        state=CircuitState.CLOSED,
        reason=None,
        failures=0,
        proven=finding is Finding.UP or circuit.proven,
        cooldown_us=0,
        probe_at_us=None,
        reopened_at_us=reopened_at_us,
    )


def _after_failure(circuit: Circuit, now_us: int, park_after: int, retry_after_us: int) -> Circuit:
    failures = circuit.failures + 1
    worse = msgspec.structs.replace(circuit, failures=failures, proven=False)
    if circuit.state is CircuitState.OPEN:
        # An attempt that began before it was parked: nothing new.
        return worse
    if circuit.state is CircuitState.CLOSED and failures < park_after and not retry_after_us:
        return worse
    cooldown_us = min(max(circuit.cooldown_us * 2, FIRST_COOLDOWN_US), LONGEST_COOLDOWN_US)
    return msgspec.structs.replace(
        worse,
        state=CircuitState.OPEN,
        reason="asked to wait (Retry-After)" if retry_after_us else f"{failures} attempts in a row found it down",
        cooldown_us=cooldown_us,
        probe_at_us=now_us + max(cooldown_us if not retry_after_us else 0, retry_after_us),
        parked_at_us=circuit.parked_at_us if circuit.state is CircuitState.HALF_OPEN else now_us,
    )


def probing(circuit: Circuit) -> Circuit:
    """Return the circuit of an endpoint that a probe is sent to."""
    return msgspec.structs.replace(circuit, state=CircuitState.HALF_OPEN, probe_at_us=None)


def held(circuit: Circuit, *, by: Party, reason: str, now_us: int) -> Circuit:
    """Return the circuit of an endpoint that somebody pauses; the operator's word stands above the account's."""
    if circuit.state in HELD and (by is Party.ACCOUNT or circuit.paused_by is Party.OPERATOR):
        return circuit
    parked_at_us = circuit.parked_at_us if circuit.state is not CircuitState.CLOSED else now_us
    return msgspec.structs.replace(
        circuit, state=CircuitState.PAUSED, reason=reason, paused_by=by, parked_at_us=parked_at_us
    )


def resumed(circuit: Circuit) -> Circuit:
    """Return the circuit of an endpoint that somebody gives another chance."""
    return msgspec.structs.replace(
        circuit,
        state=CircuitState.CLOSED,
        reason=None,
        paused_by=None,
        failures=0,
        cooldown_us=0,
        probe_at_us=None,
        # What a person held back is owed in full.
        parked_at_us=None,
        reopened_at_us=None,
    )
