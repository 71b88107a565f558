"""What operators and accounts do with endpoints: hold their callbacks back, let them go again, set limits."""

from collections.abc import Collection

import msgspec

from ringback.model.circuit import CircuitState, Party, held, resumed
from ringback.model.errors import Forbidden, NotFound
from ringback.model.retry import RetryPlan
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction


def pause(tx: Transaction, endpoint_id: str, *, by: Party, reason: str, now_us: int) -> Endpoint:
    """Hold an endpoint's callbacks back until it is resumed; attempts in flight end. Raises ``NotFound``.

    What is held back already stays as it is, unless the operator takes it over from the account.
    """
    endpoint = _find(tx, endpoint_id)
    circuit = held(endpoint.circuit, by=by, reason=reason, now_us=now_us)
    if circuit == endpoint.circuit:
        return endpoint
    paused = msgspec.structs.replace(
        endpoint, circuit=circuit, first_ready_at_us=None, retry_ready_at_us=None, is_full=False
    )
    endpoints.save(tx, [paused])
    return paused


def resume(tx: Transaction, endpoint_id: str, *, by: Party, now_us: int) -> Endpoint:
    """Let an endpoint's callbacks go again, parked, paused or disabled as it may be.

    What was held back is due at once and goes out as the endpoint's window allows, which begins small. Raises
    ``NotFound``, or ``Forbidden`` for an account where the operator has paused.
    """
    endpoint = _find(tx, endpoint_id)
    if endpoint.circuit.state is CircuitState.CLOSED:
        return endpoint
    if by is Party.ACCOUNT and endpoint.circuit.paused_by is Party.OPERATOR:
        raise Forbidden(f"the operator paused this endpoint: {endpoint.circuit.reason}")
    going = msgspec.structs.replace(
        endpoint,
        circuit=resumed(endpoint.circuit),
        first_ready_at_us=now_us,
        retry_ready_at_us=now_us,
        is_full=False,
    )
    endpoints.save(tx, [going])
    return going


def configure(
    tx: Transaction,
    endpoint_id: str,
    *,
    concurrency: int | None = None,
    rate_per_minute: int | None = None,
    retry_plan: RetryPlan | None = None,
    keep_parked: bool | None = None,
    cleared: Collection[str] = (),
) -> Endpoint:
    """Give an endpoint limits of its own; ``None`` leaves one as it is. Raises ``NotFound``.

    Limits of 0 and those named in ``cleared`` go back to the settings.
    """
    _find(tx, endpoint_id)
    limits: dict[str, int | str | bool | None] = dict.fromkeys(cleared)
    if concurrency is not None:
        limits["concurrency"] = concurrency or None
    if rate_per_minute is not None:
        limits["rate_per_minute"] = rate_per_minute or None
    if retry_plan is not None:
        limits["retry_delays"] = retry_plan.stored()
    if keep_parked is not None:
        limits["keep_parked"] = keep_parked
    if limits:
        endpoints.configure(tx, endpoint_id, **limits)
    return _find(tx, endpoint_id)


def _find(tx: Transaction, endpoint_id: str) -> Endpoint:
    found = endpoints.by_id(tx, [endpoint_id], lock=True).get(endpoint_id)
    if found is None:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found
