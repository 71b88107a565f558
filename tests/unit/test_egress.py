from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.egress import AddressRefused, EgressPolicy, refusal_of, without_internal_addresses
from ringback.settings import Invalid

NOTHING_ALLOWED = EgressPolicy.parse([])

# Written down a second time, from the IANA special-purpose address registries, so that a slip in the first shows.
NETWORKS = [
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmark"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard-only"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmark"),
    ("2001:10::/28", "reserved"),
    ("2001:20::/28", "reserved"),
    ("2001:30::/28", "reserved"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3ffe::/16", "reserved"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("::ffff:0:0/96", "v4-mapped"),
    ("::/96", "v4-compatible"),
    ("::ffff:0:0:0/96", "v4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("200::/7", "not global unicast"),
    ("4000::/2", "not global unicast"),
    ("5f00::/16", "not global unicast"),
]

SINGLE_ADDRESSES = [
    ("0.0.0.0", "unspecified"),  # noqa: S104
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("0:0:0:0:0:0:0:1", "loopback"),
    ("fe80::1%eth0", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("100.100.100.200", "metadata"),
    ("192.0.0.192", "metadata"),
    ("168.63.129.16", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("FD00:0EC2:0::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("::ffff:127.0.0.1", "v4-mapped of loopback"),
    ("::ffff:7f00:1", "v4-mapped of loopback"),
    ("::ffff:a9fe:a9fe", "v4-mapped of metadata"),
    ("::ffff:8.8.8.8", "v4-mapped of public"),
    ("::127.0.0.1", "v4-compatible of loopback"),
    ("::ffff:0:10.0.0.1", "v4-translated of private"),
    ("64:ff9b::192.168.0.1", "NAT64 of private"),
    ("64:ff9b::8.8.8.8", "NAT64 of public"),
    ("64:ff9b:1::10.0.0.1", "NAT64 of private"),
    ("64:ff9b:1:fffe::10.0.0.1", "NAT64 for local use"),
    ("2002:7f00:1::1", "6to4 of loopback"),
    ("2002:a9fe:a9fe::", "6to4 of metadata"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo of documentation"),
    ("2001:0:808:808::80ff:fffe", "Teredo of loopback"),
]

# The neighbours of the networks above, where those are public, and some well-known servers.
PUBLIC = [
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "8.8.8.8",
    "2000::",
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2003::",
    "3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
]

EMBEDDED_FORMS: dict[str, Callable[[int], int]] = {
    "v4-mapped": lambda v4: int(IPv6Address("::ffff:0:0")) + v4,
    "v4-compatible": lambda v4: v4,
    "v4-translated": lambda v4: int(IPv6Address("::ffff:0:0:0")) + v4,
    "NAT64": lambda v4: int(IPv6Address("64:ff9b::")) + v4,
    "6to4": lambda v4: int(IPv6Address("2002::")) + (v4 << 80) + 1,
    "Teredo": lambda v4: int(IPv6Address("2001:0:4136:e378:8000:63bf::")) + (v4 ^ 0xFFFF_FFFF),
}


def within(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    kind = type(network.network_address)
    return st.integers(int(network[0]), int(network[-1])).map(kind)


def embedded(form: str, address: str) -> str:
    return str(IPv6Address(EMBEDDED_FORMS[form](int(IPv4Address(address)))))


def any_refused() -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.sampled_from([ip_network(network) for network, _ in NETWORKS]).flatmap(within)


def any_refused_v4() -> st.SearchStrategy[IPv4Address | IPv6Address]:
    networks = [ip_network(network) for network, _ in NETWORKS]
    return st.sampled_from([network for network in networks if network.version == 4]).flatmap(within)


def any_public() -> st.SearchStrategy[IPv4Address | IPv6Address]:
    """Addresses in blocks that the regional registries give out, none of them special in any part."""
    blocks = (
        "8.0.0.0/7",
        "41.0.0.0/8",
        "80.0.0.0/4",
        "200.0.0.0/7",
        "2400::/12",
        "2600::/12",
        "2800::/12",
        "2a00::/12",
    )
    return st.sampled_from([ip_network(block) for block in blocks]).flatmap(within)


@pytest.mark.parametrize(("network", "why"), NETWORKS)
def test_a_refused_network_is_refused_from_its_first_address_to_its_last(network: str, why: str) -> None:
    whole = ip_network(network)
    for address in (whole[0], whole[whole.num_addresses // 2], whole[-1]):
        objection = NOTHING_ALLOWED.objection(str(address))
        assert objection is not None
    # The first and the last may be special addresses with a reason of their own.
    assert str(NOTHING_ALLOWED.objection(str(whole[whole.num_addresses // 2 + 5]))).startswith(why)


@pytest.mark.parametrize(("address", "why"), SINGLE_ADDRESSES)
def test_the_objection_names_the_kind_of_address(address: str, why: str) -> None:
    assert NOTHING_ALLOWED.objection(address) == why


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_up_to_the_edges_of_the_refused_networks(address: str) -> None:
    assert NOTHING_ALLOWED.objection(address) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "8.8.8.8 ",
        "8.8.8.8%eth0",
        "8.8.8.8/32",
        "[::1]",
        "127。0。0。1",
        "١٢٧.0.0.1",
        "::ffff:0x7f.1",
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    everything = EgressPolicy.parse(["0.0.0.0/0", "::/0"])
    assert everything.objection(text) == "not a plain IP address"


def test_a_zone_is_for_link_local_addresses_only() -> None:
    everything = EgressPolicy.parse(["0.0.0.0/0", "::/0"])
    assert everything.objection("fe80::1%eth0") is None
    assert everything.objection("2606:4700:4700::1111%eth0") == "zone on an address that has none"


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("127.0.0.0/8", ["127.0.0.1", "127.255.255.255"], ["10.0.0.1", "::1"]),
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
        ("10.1.2.3/32", ["10.1.2.3"], ["10.1.2.2", "10.1.2.4"]),
        ("::1", ["::1"], ["127.0.0.1", "::"]),
        ("fd00::/8", ["fd00::1", "fd00:ec2::254"], ["fc00::1", "fe80::1"]),
        ("169.254.169.254", ["169.254.169.254"], ["169.254.169.253"]),
        ("::ffff:10.0.0.1", ["::ffff:a00:1"], ["10.0.0.1", "::ffff:10.0.0.2"]),
        ("64:ff9b::/96", ["64:ff9b::10.0.0.1"], ["10.0.0.1", "64:ff9b:1::10.0.0.1"]),
        ("64:ff9b:1::/48", ["64:ff9b:1:fffe::10.0.0.1"], ["10.0.0.1", "64:ff9b::10.0.0.1"]),
    ],
)
def test_an_entry_allows_what_lies_in_it_and_no_more(entry: str, inside: list[str], outside: list[str]) -> None:
    policy = EgressPolicy.parse([entry])
    assert [policy.objection(address) for address in inside] == [None] * len(inside)
    assert None not in [policy.objection(address) for address in outside]


@pytest.mark.parametrize("form", EMBEDDED_FORMS)
def test_an_allowed_v4_address_is_allowed_in_every_embedded_form(form: str) -> None:
    policy = EgressPolicy.parse(["10.0.0.0/8"])
    assert policy.objection(embedded(form, "10.1.2.3")) is None
    assert policy.objection(embedded(form, "192.168.1.1")) == f"{form} of private"


def test_local_nat64_that_can_be_read_in_two_ways_needs_an_entry_of_its_own() -> None:
    # Read with a prefix of 48 bits this is 169.254.169.254, with one of 96 bits it is 10.1.2.3.
    both = "64:ff9b:1:a9fe:a9:fe00:a01:203"
    assert EgressPolicy.parse(["10.1.2.3"]).objection(both) == "NAT64 for local use"
    assert EgressPolicy.parse(["10.1.2.3"]).objection("64:ff9b:1::10.1.2.3") is None


def test_entries_add_up() -> None:
    policy = EgressPolicy.parse(["127.0.0.2", "::1", "10.0.0.0/8"])
    assert [policy.objection(address) for address in ("127.0.0.2", "::1", "10.9.9.9")] == [None] * 3
    assert policy.objection("127.0.0.1") == "loopback"


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " 10.0.0.0/8",
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.1.2.3/8",
        "10.0.0",
        "010.0.0.1",
        "2130706433",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "::1/129",
        "fd00::1/8",
        "fe80::1%eth0",
        "10.0.0.0-10.0.0.9",
        "http://10.0.0.1/",
        "10.0.0.1:8080",
        "10.0.0.1\n10.0.0.2",
    ],
)
def test_a_bad_entry_is_named_in_one_line_with_the_form_expected(entry: str) -> None:
    with pytest.raises(Invalid) as caught:
        EgressPolicy.parse(["127.0.0.0/8", entry])
    text = str(caught.value)
    assert repr(entry) in text
    assert "10.0.0.0/8" in text
    assert "\n" not in text


@given(address=any_refused())
def test_any_address_of_a_refused_network_is_refused(address: IPv4Address | IPv6Address) -> None:
    assert NOTHING_ALLOWED.objection(str(address)) is not None
    assert NOTHING_ALLOWED.objection(address.exploded) is not None


@given(address=any_refused_v4(), form=st.sampled_from(sorted(EMBEDDED_FORMS)))
def test_any_refused_v4_address_is_refused_in_every_embedded_form(address: IPv4Address, form: str) -> None:
    objection = NOTHING_ALLOWED.objection(embedded(form, str(address)))
    # ::0.0.0.0 and ::0.0.0.1 are :: and ::1.
    expected = {"::": "unspecified", "::1": "loopback"}.get(embedded(form, str(address)))
    assert objection == (expected or f"{form} of {NOTHING_ALLOWED.objection(str(address))}")


@given(address=any_public())
def test_any_public_address_is_allowed(address: IPv4Address | IPv6Address) -> None:
    assert NOTHING_ALLOWED.objection(str(address)) is None


@given(address=any_public().filter(lambda address: address.version == 4), form=st.sampled_from(sorted(EMBEDDED_FORMS)))
def test_any_public_v4_address_is_refused_in_every_embedded_form(address: IPv4Address, form: str) -> None:
    assert NOTHING_ALLOWED.objection(embedded(form, str(address))) == f"{form} of public"


@given(st.ip_addresses())
def test_nothing_that_python_calls_special_is_allowed(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert NOTHING_ALLOWED.objection(str(address)) is not None


@given(address=any_refused())
def test_an_entry_for_an_address_allows_it(address: IPv4Address | IPv6Address) -> None:
    assert EgressPolicy.parse([str(address)]).objection(str(address)) is None


def test_the_refusal_is_found_wherever_it_hides() -> None:
    refusal = AddressRefused([("127.0.0.1", "loopback"), ("::1", "loopback")])
    key = aiohttp.client_reqrep.ConnectionKey("crm.example", 443, True, True, None, None, None)
    caused, in_context, looped = OSError("caused"), OSError("in context"), OSError("looped")
    caused.__cause__ = refusal
    in_context.__context__ = caused
    looped.__cause__, looped.__context__ = looped, refusal
    group = ExceptionGroup("several", [ValueError("another"), ExceptionGroup("inner", [caused])])
    for error in (refusal, caused, in_context, looped, group, aiohttp.ClientConnectorError(key, refusal)):
        assert refusal_of(error) is refusal


def test_other_errors_are_no_refusals() -> None:
    looped = OSError("looped")
    looped.__context__ = looped
    for error in (looped, PermissionError(13, "denied"), ExceptionGroup("several", [ValueError("one")])):
        assert refusal_of(error) is None


def test_the_text_of_a_refusal_names_every_address_and_why() -> None:
    refusal = AddressRefused([("127.0.0.1", "loopback"), ("fd00::1", "private")])
    assert str(refusal) == "the egress policy refuses 127.0.0.1 (loopback), fd00::1 (private)"
    assert refusal.refused == (("127.0.0.1", "loopback"), ("fd00::1", "private"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "refuses 10.1.2.3 (private), fd00::1 (private)",
            "refuses an internal address (private), an internal address (private)",
        ),
        ("Connect call failed ('192.168.0.7', 80)", "Connect call failed ('an internal address', 80)"),
        ("Connect call failed ('::1', 80, 0, 0)", "Connect call failed ('an internal address', 80, 0, 0)"),
        ("refuses fe80::1%eth0 (link-local).", "refuses an internal address (link-local)."),
        ("refuses ::ffff:10.1.2.3 (v4-mapped of private)", "refuses an internal address (v4-mapped of private)"),
        ("refuses FD00::A.", "refuses an internal address."),
        # Public ones help to find what is wrong.
        ("Connect call failed ('93.184.215.14', 443)", "Connect call failed ('93.184.215.14', 443)"),
        ("no full answer within 8 s at 12:30:45, 1.2.3", "no full answer within 8 s at 12:30:45, 1.2.3"),
        (
            "Cannot connect to host one.example:80 ssl:default [nothing]",
            "Cannot connect to host one.example:80 ssl:default [nothing]",
        ),
    ],
)
def test_an_account_is_not_told_what_a_name_stands_for_inside(text: str, told: str) -> None:
    assert without_internal_addresses(text, url="https://one.example/status") == told


@pytest.mark.parametrize("url", ["http://10.1.2.3:9/s", "http://[fd00::1]/s"])
def test_an_address_that_the_account_wrote_itself_is_repeated(url: str) -> None:
    text = "refuses 10.1.2.3 (private), fd00::1 (private)"
    assert without_internal_addresses(text, url=url).count("an internal address") == 1
