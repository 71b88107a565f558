"""What an operator does with endpoints: hold their callbacks back, let them go again."""

import msgspec

from ringback.model.circuit import HELD, CircuitState, held, resumed
from ringback.model.errors import NotFound
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction


def pause(tx: Transaction, endpoint_id: str, *, reason: str, now_us: int) -> Endpoint:
    """Hold an endpoint's callbacks back until it is resumed; attempts in flight end. Raises ``NotFound``."""
    endpoint = _find(tx, endpoint_id)
    if endpoint.circuit.state in HELD:
        return endpoint
    paused = msgspec.structs.replace(
        endpoint,
        circuit=held(endpoint.circuit, reason=reason, now_us=now_us),
        first_ready_at_us=None,
        retry_ready_at_us=None,
        is_full=False,
    )
    endpoints.save(tx, [paused])
    return paused


def resume(tx: Transaction, endpoint_id: str, *, now_us: int) -> Endpoint:
    """Let an endpoint's callbacks go again, parked, paused or disabled as it may be. Raises ``NotFound``.

    What was held back is due at once and goes out as the endpoint's window allows, which begins small.
    """
    endpoint = _find(tx, endpoint_id)
    if endpoint.circuit.state is CircuitState.CLOSED:
        return endpoint
    going = msgspec.structs.replace(
        endpoint,
        circuit=resumed(endpoint.circuit),
        first_ready_at_us=now_us,
        retry_ready_at_us=now_us,
        is_full=False,
    )
    endpoints.save(tx, [going])
    return going


def _find(tx: Transaction, endpoint_id: str) -> Endpoint:
    found = endpoints.by_id(tx, [endpoint_id], lock=True).get(endpoint_id)
    if found is None:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found
