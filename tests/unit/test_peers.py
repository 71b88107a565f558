"""Whose address a request is given: never one that the client could have written itself."""

import pytest
from starlette.requests import Request

from ringback.model.errors import ConfigInvalid
from ringback.web.peers import Peers


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return Request({"type": "http", "headers": headers, "client": (peer, 1) if peer else None})


PROXIES = ("10.0.0.0/8", "192.0.2.7", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 192.0.2.7"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "10.9.9.9, 192.0.2.7"], "6.6.6.6"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6, "], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_proxies_are_believed_from_the_right(peer: str | None, forwarded: list[str], client: str) -> None:
    assert Peers(PROXIES).of(request(peer, *forwarded)) == client


def test_nobody_is_believed_unless_told() -> None:
    assert Peers(()).of(request("10.0.0.1", "198.51.100.1")) == "10.0.0.1"


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "proxy.example", ""])
def test_what_is_no_network_is_named(entry: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"server\.trusted_proxies"):
        Peers([entry])
