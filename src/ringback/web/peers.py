"""Who sends a request: the address of the connection, or what proxies say of it that the operator trusts."""

from collections.abc import Sequence

from starlette.requests import Request

from ringback.receiver.proxies import Proxies


class Peers:
    """Names the client of a request."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """Take networks in CIDR notation, or addresses. Raises ``ConfigInvalid``."""
        self._proxies = Proxies(trusted_proxies)

    def of(self, request: Request) -> str:
        """Return the client's address."""
        peer = request.client.host if request.client else ""
        return self._proxies.seen(peer=peer, scheme="http", headers=request.headers.items()).peer
