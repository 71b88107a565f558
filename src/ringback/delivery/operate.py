"""What an operator does with endpoints: hold their callbacks back, let them go again."""

from collections.abc import Collection

import msgspec

from ringback.model.circuit import HELD, CircuitState, held, resumed
from ringback.model.errors import InvalidRequest, NotFound
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction

MAX_DELAYS = 20
LONGEST_DELAY_S = 86_400


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


def configure(
    tx: Transaction,
    endpoint_id: str,
    *,
    concurrency: int | None = None,
    rate_per_minute: int | None = None,
    retry_delays: str | None = None,
    keep_parked: bool | None = None,
    cleared: Collection[str] = (),
) -> Endpoint:
    """Give an endpoint limits of its own; ``None`` leaves one as it is.

    0, ``""`` and what is named in ``cleared`` go back to the settings. ``retry_delays`` are seconds with commas
    between. Raises ``NotFound`` or ``InvalidRequest``.
    """
    _find(tx, endpoint_id)
    limits: dict[str, int | str | bool | None] = dict.fromkeys(cleared)
    if concurrency is not None:
        limits["concurrency"] = concurrency or None
    if rate_per_minute is not None:
        limits["rate_per_minute"] = rate_per_minute or None
    if retry_delays is not None:
        limits["retry_delays"] = _delays(retry_delays)
    if keep_parked is not None:
        limits["keep_parked"] = keep_parked
    if limits:
        endpoints.configure(tx, endpoint_id, **limits)
    return _find(tx, endpoint_id)


def _delays(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        delays_s = [float(part) for part in text.split(",")]
    except ValueError:
        delays_s = [-1.0]
    if len(delays_s) > MAX_DELAYS or not all(0 < delay_s <= LONGEST_DELAY_S for delay_s in delays_s):
        raise InvalidRequest(
            f"retry delays must be up to {MAX_DELAYS} numbers of seconds above 0, at most {LONGEST_DELAY_S}, "
            "with commas between"
        )
    return msgspec.json.encode(delays_s).decode()


def _find(tx: Transaction, endpoint_id: str) -> Endpoint:
    found = endpoints.by_id(tx, [endpoint_id], lock=True).get(endpoint_id)
    if found is None:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found
