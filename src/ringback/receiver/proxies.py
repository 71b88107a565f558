"""What a client saw when a proxy stands between: believed from addresses that the operator trusts, from nobody else.

Whoever reaches the port can write ``X-Forwarded-*`` and ``Forwarded`` (RFC 7239). They count only where the connection
itself comes from a trusted network; of several hops the last one that is not trusted is the client.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from ringback.model.errors import ConfigInvalid

Network = IPv4Network | IPv6Network

_HOST: Final = re.compile(r"[A-Za-z0-9._\-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


class Seen(msgspec.Struct, frozen=True):
    """Where a request comes from, and what it was sent to."""

    peer: str
    origin: str
    """Scheme, host and port."""


class Proxies:
    """The networks whose word about their clients is taken."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Take networks in CIDR notation, or addresses. Raises ``ConfigInvalid``."""
        self._networks = tuple(_network(text) for text in networks)

    def seen(self, *, peer: str, scheme: str, headers: Sequence[tuple[str, str]]) -> Seen:
        """Return what the client saw, by the headers if ``peer`` is trusted. ``headers`` have lower-case names."""
        host = next((value for name, value in headers if name == "host"), "")
        if not self._networks or not self._trusts(peer):
            return Seen(peer, f"{scheme}://{host}")
        told = _forwarded(_joined(headers))
        scheme = told.get("proto", scheme)
        named = told.get("host", host)
        if "host" in told and (port := told.get("port")) and ":" not in named.rpartition("]")[2]:
            usual = {"https": "443", "http": "80"}.get(scheme)
            named = named if port == usual else f"{named}:{port}"
        return Seen(self._client(told.get("for", ""), peer), f"{scheme}://{named}")

    def _trusts(self, address: str) -> bool:
        return _is_in(address, self._networks)

    def _client(self, hops: str, peer: str) -> str:
        client = peer
        for hop in reversed(hops.split(",")):
            address = _address(hop.strip())
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client


@lru_cache(maxsize=4096)
def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigInvalid(
            f"settings: server.trusted_proxies: {text!r} is no network: write 10.0.0.0/8 or 10.0.0.7"
        ) from error


def _address(hop: str) -> str | None:
    text = hop.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; those that come several times are one list (RFC 9110, section 5.3)."""
    lines: dict[str, str] = {}
    for name, value in headers:
        lines[name] = f"{lines[name]},{value}" if name in lines else value
    return lines


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the headers say, by the names of RFC 7239. Values that make no sense are left out."""
    told: dict[str, str] = {}
    if standard := headers.get("forwarded", ""):
        elements = [_parameters(element) for element in standard.split(",")]
        told |= elements[-1]
        told["for"] = ",".join(element["for"] for element in elements if "for" in element)
    else:
        for name in ("proto", "host", "port", "for"):
            value = headers.get(f"x-forwarded-{name}", "").strip()
            told[name] = value if name == "for" else value.rpartition(",")[2].strip()
    if told.get("proto", "").lower() not in {"http", "https"}:
        told.pop("proto", None)
    else:
        told["proto"] = told["proto"].lower()
    if not _HOST.fullmatch(told.get("host", "")):
        told.pop("host", None)
    if not re.fullmatch(r"[0-9]{1,5}", told.get("port", "")):
        told.pop("port", None)
    return told


def _parameters(element: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in element.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if value}
