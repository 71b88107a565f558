"""The egress guard: which addresses URLs of customers may lead to, and how aiohttp is made to keep to it.

A customer chooses the URL, so a callback could be aimed at what only this host can reach: its own loopback, the
network behind it, the metadata service of its cloud. Names prove nothing, as whoever owns the name decides what it
resolves to, and may answer differently each time. What counts is the address that is dialled.
"""

import contextlib
import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.model.errors import ConfigInvalid
from ringback.settings import Invalid

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _table(*rows: tuple[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ipaddress.ip_network(network), why) for network, why in rows)


REFUSED: Final = _table(
    # Metadata services, by the documents of the clouds. They stand first: the reason shown is that of the first row
    # that matches. Most lie in a network below as well; 168.63.129.16 is public address space that Azure uses inside.
    ("169.254.169.254/32", "metadata"),  # AWS, Azure, Google, Oracle, DigitalOcean, OpenStack
    ("169.254.170.2/32", "metadata"),  # AWS ECS
    ("169.254.170.23/32", "metadata"),  # AWS EKS
    ("169.254.0.23/32", "metadata"),  # Tencent
    ("169.254.42.42/32", "metadata"),  # Scaleway
    ("100.100.100.200/32", "metadata"),  # Alibaba
    ("192.0.0.192/32", "metadata"),  # Oracle
    ("168.63.129.16/32", "metadata"),  # Azure
    ("fd00:ec2::254/128", "metadata"),  # AWS
    ("fd00:ec2::23/128", "metadata"),  # AWS EKS
    ("fd20:ce::254/128", "metadata"),  # Google
    ("fd00:c1::a9fe:a9fe/128", "metadata"),  # Oracle
    ("fd00:42::42/128", "metadata"),  # Scaleway
    ("fe80::a9fe:a9fe/128", "metadata"),  # OpenStack
    # IPv4, by the IANA special-purpose address registry (RFC 6890).
    ("0.0.0.0/8", "unspecified"),  # RFC 1122, 3.2.1.3; Linux takes 0.0.0.0 for the host itself
    ("10.0.0.0/8", "private"),  # RFC 1918
    ("100.64.0.0/10", "carrier-grade NAT"),  # RFC 6598
    ("127.0.0.0/8", "loopback"),  # RFC 1122, 3.2.1.3
    ("169.254.0.0/16", "link-local"),  # RFC 3927
    ("172.16.0.0/12", "private"),  # RFC 1918
    ("192.0.0.0/24", "reserved"),  # RFC 6890, 2.1
    ("192.0.2.0/24", "documentation"),  # RFC 5737
    ("192.88.99.0/24", "reserved"),  # RFC 7526: once the 6to4 relays
    ("192.168.0.0/16", "private"),  # RFC 1918
    ("198.18.0.0/15", "benchmark"),  # RFC 2544
    ("198.51.100.0/24", "documentation"),  # RFC 5737
    ("203.0.113.0/24", "documentation"),  # RFC 5737
    ("224.0.0.0/4", "multicast"),  # RFC 5771
    ("255.255.255.255/32", "broadcast"),  # RFC 919
    ("240.0.0.0/4", "reserved"),  # RFC 1112, 4
    # IPv6. What is in none of these must lie in GLOBAL_UNICAST_V6, and EMBEDDINGS are judged before.
    ("::/128", "unspecified"),  # RFC 4291, 2.5.2
    ("::1/128", "loopback"),  # RFC 4291, 2.5.3
    ("64:ff9b:1::/48", "NAT64 for local use"),  # RFC 8215
    ("100::/64", "discard-only"),  # RFC 6666
    ("2001:2::/48", "benchmark"),  # RFC 5180
    ("2001:db8::/32", "documentation"),  # RFC 3849
    ("2001::/23", "reserved"),  # RFC 2928: protocol assignments, Teredo and ORCHID (RFC 4843, RFC 7343) among them
    ("3ffe::/16", "reserved"),  # RFC 3701: once the 6bone
    ("3fff::/20", "documentation"),  # RFC 9637
    ("fc00::/7", "private"),  # RFC 4193: unique local
    ("fe80::/10", "link-local"),  # RFC 4291, 2.5.6
    ("fec0::/10", "site-local"),  # RFC 3879
    ("ff00::/8", "multicast"),  # RFC 4291, 2.7
)
"""Networks that no callback goes to, and why; the first that matches gives the reason."""

GLOBAL_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA gives out as IPv6 global unicast (RFC 4291, 2.4, and its registry). The rest is kept for later use."""


def _last_32_bits(address: int) -> int:
    return address & 0xFFFF_FFFF


EMBEDDINGS: Final[tuple[tuple[ipaddress.IPv6Network, str, Callable[[int], int]], ...]] = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), "v4-mapped", _last_32_bits),  # RFC 4291, 2.5.5.2
    (ipaddress.IPv6Network("::/96"), "v4-compatible", _last_32_bits),  # RFC 4291, 2.5.5.1
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), "v4-translated", _last_32_bits),  # RFC 2765, 2.1
    (ipaddress.IPv6Network("64:ff9b::/96"), "NAT64", _last_32_bits),  # RFC 6052, 2.1
    # The rest of 64:ff9b:1::/48 can be read in several ways, by the length of prefix that the translator is set to
    # (RFC 6052, 2.2). With zeros between, the other readings give addresses in 0.0.0.0/8, which lead nowhere.
    (ipaddress.IPv6Network("64:ff9b:1::/96"), "NAT64", _last_32_bits),  # RFC 8215
    (ipaddress.IPv6Network("2002::/16"), "6to4", lambda address: _last_32_bits(address >> 80)),  # RFC 3056, 2
    (ipaddress.IPv6Network("2001::/32"), "Teredo", lambda address: _last_32_bits(~address)),  # RFC 4380, 4
)
"""IPv6 networks whose addresses stand for an IPv4 address, their name, and how to get that address out."""


class EgressPolicy(msgspec.Struct, frozen=True):
    """Which addresses may be dialled: all public ones, and what the operator allowed besides."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, allow: Sequence[str]) -> Self:
        """Build the policy from allow-list entries: addresses, or networks in CIDR notation.

        An entry allows all that lies in it, metadata services included. Raises ``Invalid`` for anything else, also
        for a network with host bits set ("10.1.2.3/8"), as it may mean either the host or the network.
        """
        return cls(tuple(_network(entry) for entry in allow))

    def objection(self, address: str) -> str | None:
        """Say why this address must not be dialled, such as "loopback" or "v4-mapped of private"; None if it may.

        ``address`` is what would go into ``connect``: one IP address in its usual form. Anything else, such as "0x7f.1"
        or a name, is an objection too, as the system would turn it into an address that nobody has judged.
        IPv6 forms that carry an IPv4 address are refused even if that one is public: no name in use resolves to
        them. To allow one, the allow-list names either the IPv6 address or the IPv4 address in it.
        """
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return "not a plain IP address"
        if _has_needless_zone(ip):
            return "zone on an address that has none"
        return None if self._allows(ip) else self._objection_to(ip)

    def _objection_to(self, ip: Address) -> str | None:
        embedded = _embedded(ip)
        if embedded is None:
            return _why_refused(ip)
        form, inner = embedded
        return None if self._allows(inner) else f"{form} of {_why_refused(inner) or 'public'}"

    def _allows(self, ip: Address) -> bool:
        return any(ip in network for network in self.allowed)


def _network(entry: str) -> Network:
    # ipaddress also reads netmasks ("10.0.0.0/255.0.0.0") and host masks, which are easily taken for each other.
    if "%" not in entry and ("/" not in entry or entry.partition("/")[2].isdigit()):
        with contextlib.suppress(ValueError):
            return ipaddress.ip_network(entry)
    raise Invalid(
        f"{entry!r} is no address or network that callbacks may go to;"
        " expected is an address such as 10.1.2.3 or ::1,"
        " or a network in CIDR notation without host bits such as 10.0.0.0/8 or fd00::/8"
    )


def _has_needless_zone(ip: Address) -> bool:
    """Only link-local addresses need a zone (RFC 4007, 6); elsewhere it makes the system resolve the text anew."""
    return isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None and not ip.is_link_local


def _embedded(ip: Address) -> tuple[str, ipaddress.IPv4Address] | None:
    # :: and ::1 lie in the v4-compatible network, but are none (RFC 4291, 2.5.5.1).
    if isinstance(ip, ipaddress.IPv4Address) or int(ip) <= 1:
        return None
    found = ((form, ipaddress.IPv4Address(inner(int(ip)))) for network, form, inner in EMBEDDINGS if ip in network)
    return next(found, None)


def _why_refused(ip: Address) -> str | None:
    why = next((why for network, why in REFUSED if ip in network), None)
    if why is None and isinstance(ip, ipaddress.IPv6Address) and ip not in GLOBAL_UNICAST_V6:
        return "not global unicast"
    return why


class AddressRefused(OSError):
    """The policy forbids every address there was to dial.

    ``refused`` has each of them with the reason; the text names them all.
    """

    def __init__(self, refused: Sequence[tuple[str, str]]) -> None:
        listed = ", ".join(f"{address} ({why})" for address, why in refused)
        # aiohttp shows no more of an OSError than its strerror, so the text has to be there. EACCES is what Linux
        # itself answers when a firewall rule of the host forbids a connection.
        super().__init__(errno.EACCES, f"the egress policy refuses {listed}")
        self.refused: Final = tuple(refused)

    def __str__(self) -> str:
        return str(self.strerror)


def refusal_of(error: BaseException) -> AddressRefused | None:
    """Find the refusal behind an error of aiohttp; None if the request failed for another reason.

    Looks at the error itself, its causes and contexts, the members of groups, and ``os_error``, which is where
    aiohttp's ``ClientConnectorError`` keeps the original.
    """
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        candidate = waiting.pop()
        if isinstance(candidate, AddressRefused):
            return candidate
        if isinstance(candidate, BaseException) and id(candidate) not in seen:
            seen.add(id(candidate))
            waiting += [candidate.__cause__, candidate.__context__, getattr(candidate, "os_error", None)]
            waiting += getattr(candidate, "exceptions", ())
    return None


_LOOKS_LIKE_AN_ADDRESS: Final = re.compile(
    r"(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]*:[0-9a-f:.]*:(?:[0-9a-f.]*[0-9a-f])?(?:%\w+)?", re.ASCII | re.IGNORECASE
)


def without_internal_addresses(text: str, *, url: str) -> str:
    """Return an error's text without the addresses that an account must not learn: what names stand for inside.

    Public addresses stay, and one that the account itself wrote into the URL.
    """
    written = urlsplit(url).hostname
    outside = EgressPolicy()

    def shown(found: re.Match[str]) -> str:
        address = found[0].lower()
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(address)
            if address != written and outside.objection(address) is not None:
                return "an internal address"
        return found[0]

    return _LOOKS_LIKE_AN_ADDRESS.sub(shown, text)


class PolicyResolver(AbstractResolver):
    """Resolves names with another resolver, and drops the addresses that the policy refuses.

    The guard is in ``guarded_socket``; this makes the outcome definite. Without it, aiohttp would try the addresses in
    turn and merge the errors of several into one text, in which a refusal is no longer to be found.
    """

    def __init__(self, policy: EgressPolicy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the allowed addresses of the name, in the order of the inner resolver.

        Raises ``AddressRefused`` if there are only others, and ``OSError`` if there is none or the lookup fails.
        """
        results = await self._inner.resolve(host, port, family)
        if not results:
            # aiohttp meets an empty list with an AssertionError.
            raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
        judged = [(result, self._policy.objection(result["host"])) for result in results]
        allowed = [result for result, why in judged if why is None]
        if not allowed:
            raise AddressRefused([(result["host"], why) for result, why in judged if why is not None])
        return allowed

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def guarded_socket(policy: EgressPolicy) -> aiohttp.SocketFactoryType:
    """Give the function that makes aiohttp's sockets: it raises ``AddressRefused`` for an address the policy refuses.

    aiohttp calls it right before each ``connect``, with the address that goes into it, wherever that came from: a
    lookup, its DNS cache, or an address in the URL, which no resolver sees.
    """

    def open_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = addr_info
        address = str(sockaddr[0])
        why = policy.objection(address)
        if why is not None:
            raise AddressRefused([(address, why)])
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket


def configured_policy(allow: Sequence[str]) -> EgressPolicy:
    """Return the policy of the setting ``delivery.egress_allow``. Raises ``ConfigInvalid``."""
    try:
        return EgressPolicy.parse(allow)
    except Invalid as error:
        raise ConfigInvalid(f"settings: delivery.egress_allow: {error}") from error


def trusting(ca_file: Path | None, *, setting: str = "delivery.ca_file") -> ssl.SSLContext:
    """Make a TLS context that trusts the system's authorities, and those of a file. Raises ``ConfigInvalid``."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigInvalid(f"settings: {setting}: no certificates can be read from {ca_file}") from error
    return context


def guarded_connector(
    policy: EgressPolicy,
    *,
    dns_cache_s: int = 30,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> aiohttp.TCPConnector:
    """Make a connector that dials what the policy allows and nothing else; needs a running loop.

    ``resolver`` looks names up, by default the system's; ``tls`` says whom to trust, by default the system's
    authorities. The number of connections is not limited. A pooled connection was judged when it was dialled. With a
    proxy, the proxy's address would be judged and not the target's.

    A request that is refused raises ``aiohttp.ClientConnectorError``, and ``refusal_of`` gives the reason.
    """
    return aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=dns_cache_s,
        resolver=PolicyResolver(policy, resolver or aiohttp.ThreadedResolver()),
        socket_factory=guarded_socket(policy),
        ssl=tls or True,
    )
