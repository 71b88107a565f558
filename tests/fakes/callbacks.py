"""Taking callbacks off their queues without a deliverer."""

from ringback.store import callbacks, endpoints
from ringback.store.callbacks import DueCallback, Wanted
from ringback.store.port import Transaction


def take_due(tx: Transaction, *, now_us: int, lease_until_us: int, limit: int = 100) -> list[DueCallback]:
    """Lease what is due of every endpoint, whatever its circuit says."""
    wanted = [
        Wanted(endpoint.id, is_retry, limit)
        for endpoint in endpoints.page(tx, limit=10_000)
        for is_retry in (False, True)
    ]
    queues = callbacks.lease(tx, wanted, now_us=now_us, lease_until_us=lease_until_us, lease_token="lease")
    return [callback for queue in queues for callback in queue.callbacks]
