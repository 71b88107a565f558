"""Recording attempts: what follows for the callbacks, and for their endpoints."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from ringback.model.circuit import Circuit, CircuitState, Finding, after
from ringback.store import callbacks, endpoints
from ringback.store.callbacks import Outcome
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction


class Result(msgspec.Struct, frozen=True):
    """An attempt's outcome, and what it says about the endpoint."""

    outcome: Outcome
    finding: Finding
    retry_after_us: int = 0


class Turnaround(msgspec.Struct, frozen=True):
    """An endpoint whose circuit has changed its state."""

    endpoint: Endpoint
    before: CircuitState


def settle(tx: Transaction, results: Sequence[Result], *, park_after: int) -> list[Turnaround]:
    """Store what came of attempts, in one transaction; returns the endpoints whose circuit changed its state."""
    recorded = {outcome.callback.id for outcome in callbacks.record(tx, [result.outcome for result in results])}
    by_endpoint: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome.callback.id in recorded:
            by_endpoint[result.outcome.callback.endpoint_id].append(result)
    known = endpoints.by_id(tx, list(by_endpoint), lock=True)
    settled = {id_: _endpoint_after(endpoint, by_endpoint[id_], park_after) for id_, endpoint in known.items()}
    endpoints.save(tx, [each for id_, each in settled.items() if each != known[id_]])
    return [
        Turnaround(each, known[id_].circuit.state)
        for id_, each in settled.items()
        if each.circuit.state is not known[id_].circuit.state
    ]


def _endpoint_after(endpoint: Endpoint, results: Sequence[Result], park_after: int) -> Endpoint:
    circuit: Circuit = endpoint.circuit
    for result in results:
        circuit = after(
            circuit,
            result.finding,
            now_us=result.outcome.recorded_at_us,
            park_after=park_after,
            retry_after_us=result.retry_after_us,
        )
    first, retry = endpoint.first_ready_at_us, endpoint.retry_ready_at_us
    match circuit.state:
        case CircuitState.OPEN:
            first, retry = circuit.probe_at_us, None
        case CircuitState.CLOSED | CircuitState.HALF_OPEN:
            due = [each.outcome.next_due_at_us for each in results if each.outcome.next_due_at_us is not None]
            retry = min([*due, *([] if retry is None else [retry])], default=None)
            now_us = results[-1].outcome.recorded_at_us
            if circuit.state is not endpoint.circuit.state:
                # It was parked, and nobody has looked since.
                first = retry = now_us
            elif endpoint.is_full:
                # There is room again. First attempts may have been added meanwhile, retries only here.
                first, retry = now_us, None if retry is None else now_us
        case _:
            first = retry = None
    return msgspec.structs.replace(
        endpoint, circuit=circuit, first_ready_at_us=first, retry_ready_at_us=retry, is_full=False
    )
