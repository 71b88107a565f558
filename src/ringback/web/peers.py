"""Who sends a request: the address of the connection, or what proxies say of it that the operator trusts."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import Request

from ringback.model.errors import ConfigInvalid


class Peers:
    """Names the client of a request."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """Take networks in CIDR notation, or addresses. Raises ``ConfigInvalid``."""
        self._trusted = []
        for entry in trusted_proxies:
            try:
                self._trusted.append(ip_network(entry))
            except ValueError as error:
                raise ConfigInvalid(
                    f"settings: server.trusted_proxies: {entry!r} is no network: write 10.0.0.0/8 or 10.0.0.7"
                ) from error

    def of(self, request: Request) -> str:
        """Return the client's address.

        ``X-Forwarded-For`` is read from its end, where the nearest proxy has written whom it serves, as far as those
        who wrote it are trusted: whatever stands before was in the client's own hand.
        """
        peer = request.client.host if request.client else ""
        if not self._trusted or not self._is_trusted(_address(peer)):
            return peer
        for entry in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
            address = _address(entry)
            if address is None:
                break
            peer = str(address)
            if not self._is_trusted(address):
                break
        return peer

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, also with a port after it, or with the zone or the mapping that a socket of IPv6 gives it."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
