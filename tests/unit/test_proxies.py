"""Whose word about the client is taken, and what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.errors import ConfigInvalid
from ringback.receiver.proxies import Proxies, Seen

MINE = "https://hooks.example.com"
STANDARD = 'for="[2001:db8::7]:4711";proto=https;host=b'
NONSENSE = {"x-forwarded-proto": "gopher", "x-forwarded-host": "b/c"}
TOLD = {"host": "inside:8080", "x-forwarded-proto": "https", "x-forwarded-host": "hooks.example.com"}


def seen(proxies: Proxies, peer: str, headers: dict[str, str]) -> Seen:
    return proxies.seen(peer=peer, scheme="http", headers=list(headers.items()))


@pytest.mark.parametrize(
    ("networks", "peer", "headers", "origin", "client"),
    [
        ((), "10.0.0.1", TOLD, "http://inside:8080", "10.0.0.1"),
        (("10.0.0.0/8",), "192.0.2.1", TOLD, "http://inside:8080", "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", TOLD, MINE, "10.0.0.1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", TOLD, MINE, "::ffff:10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", TOLD | {"x-forwarded-port": "8443"}, MINE + ":8443", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", TOLD | {"x-forwarded-port": "443"}, MINE, "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", TOLD | {"x-forwarded-for": "6.6.6.6, 192.0.2.9"}, MINE, "192.0.2.9"),
        (("10.0.0.0/8",), "10.0.0.1", TOLD | {"x-forwarded-for": "6.6.6.6, 192.0.2.9, 10.0.0.7"}, MINE, "192.0.2.9"),
        (("10.0.0.1",), "10.0.0.1", {"forwarded": STANDARD}, "https://b", "2001:db8::7"),
        (("10.0.0.1",), "10.0.0.1", {"host": "a"} | NONSENSE, "http://a", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", {"host": "a", "x-forwarded-for": "unknown"}, "http://a", "10.0.0.1"),
    ],
)  # fmt: skip
def test_headers_count_from_trusted_addresses_only(
    networks: tuple[str, ...], peer: str, headers: dict[str, str], origin: str, client: str
) -> None:
    assert seen(Proxies(networks), peer, headers) == Seen(client, origin)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="is no network"):
        Proxies(("example.com",))


@given(
    st.dictionaries(
        st.sampled_from(["forwarded", *(f"x-forwarded-{n}" for n in ("for", "proto", "host", "port"))]), st.text()
    ),
    st.text(),
)
def test_nothing_that_a_proxy_writes_is_an_error(headers: dict[str, str], peer: str) -> None:
    found = seen(Proxies(("0.0.0.0/0", "::/0")), "10.0.0.1", headers)
    assert found.origin.startswith(("http://", "https://"))
    seen(Proxies(("0.0.0.0/0",)), peer, headers)
