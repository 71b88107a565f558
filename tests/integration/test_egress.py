"""The egress guard in a real aiohttp session. Loopback stands for the Internet: 127.0.0.2 is allowed, 127.0.0.3 not."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.egress import EgressPolicy, guarded_connector, refusal_of

ALLOWED = "127.0.0.2"
REFUSED = "127.0.0.3"
ANY = "0.0.0.0"  # noqa: S104 -- to listen on every address of 127.0.0.0/8


class Listener:
    """Counts connections and answers every request on them with 200 and the address it was reached at."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.port = 0
        self.connections = 0
        self._serving: set[asyncio.Task[None] | None] = set()
        self._connection = b"keep-alive" if keep_alive else b"close"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        body = writer.get_extra_info("sockname")[0].encode()
        while (await reader.readline()).startswith(b"GET"):
            while (await reader.readline()).strip():
                pass
            head = b"HTTP/1.1 200 OK\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n" % (self._connection, len(body))
            writer.write(head + body)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def finish(self) -> None:
        await asyncio.gather(*(task for task in self._serving if task is not None))


@asynccontextmanager
async def listening(host: str = ANY, *, keep_alive: bool = True) -> AsyncIterator[Listener]:
    listener = Listener(keep_alive=keep_alive)
    server = await asyncio.start_server(listener.serve, host, 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener
        await listener.finish()


class Script(AbstractResolver):
    """Answers each lookup with the next list of addresses; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.lookups = 0

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002
    ) -> list[ResolveResult]:
        self.lookups += 1
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_UNSPEC, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class NoSuchName(Script):
    """Knows no name."""

    async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


FULLWIDTH = "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}\N{FULLWIDTH DIGIT SEVEN}.0.0.1"

Get = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def client(*allow: str, resolver: AbstractResolver | None = None, dns_cache_s: int = 30) -> AsyncIterator[Get]:
    connector = guarded_connector(EgressPolicy.parse(allow), resolver=resolver, dns_cache_s=dns_cache_s)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def get(url: str) -> str:
            async with session.get(yarl.URL(url, encoded=True)) as response:
                return await response.text()

        yield get


async def refusal(get: Get, url: str) -> tuple[tuple[str, str], ...]:
    """Make the request, which must be refused, and give the refused addresses with the reasons."""
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await get(url)
    found = refusal_of(caught.value)
    assert found is not None
    assert str(found) in str(caught.value)
    return found.refused


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "loopback"),
        (ANY, "unspecified"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("[::1]", "loopback"),
        ("[::]", "unspecified"),
        ("[fe80::1%25lo]", "link-local"),
        ("[fd00:ec2::254]", "metadata"),
        ("[::ffff:127.0.0.1]", "v4-mapped of loopback"),
        ("[::ffff:7f00:1]", "v4-mapped of loopback"),
        ("[64:ff9b::7f00:1]", "NAT64 of loopback"),
        ("[2002:7f00:1::]", "6to4 of loopback"),
    ],
)
async def test_an_address_in_the_url_is_judged(host: str, why: str) -> None:
    async with listening() as listener, client() as get:
        refused = await refusal(get, f"http://{host}:{listener.port}/")
        assert [reason for _, reason in refused] == [why]
        assert listener.connections == 0


@pytest.mark.parametrize("host", ["0x7f.1", "0x7f000001", "0x7f.0.0.1", "127。0。0。1", "localhost", "LOCALHOST"])
async def test_a_name_that_the_system_turns_into_loopback_is_refused(host: str) -> None:
    async with listening() as listener, client() as get:
        refused = await refusal(get, f"http://{host}:{listener.port}/")
        assert {reason for _, reason in refused} == {"loopback"}
        assert listener.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1", "017700000001", "0", FULLWIDTH])
async def test_numbers_that_are_no_plain_address_reach_nothing(host: str) -> None:
    # Newer versions of aiohttp reject these themselves, without an OSError; in older ones the guard does.
    async with listening() as listener, client("0.0.0.0/0", "::/0") as get:
        with pytest.raises(aiohttp.ClientError):
            await get(f"http://{host}:{listener.port}/")
        assert listener.connections == 0


async def test_a_name_with_one_refused_address_is_refused_by_that() -> None:
    async with listening() as listener, client(ALLOWED, resolver=Script([REFUSED])) as get:
        assert await refusal(get, f"http://crm.test:{listener.port}/") == ((REFUSED, "loopback"),)
        assert listener.connections == 0


async def test_all_addresses_of_a_name_being_refused_is_told_apart_and_each_is_named() -> None:
    # Of several different errors aiohttp keeps only the texts, so this is where a refusal could get lost.
    addresses = [REFUSED, "::1", "10.0.0.1", "169.254.169.254", "fd00::1"]
    async with listening() as listener, client(ALLOWED, resolver=Script(addresses)) as get:
        refused = await refusal(get, f"http://crm.test:{listener.port}/")
        assert [address for address, _ in refused] == addresses
        assert [why for _, why in refused] == ["loopback", "loopback", "private", "metadata", "private"]
        assert listener.connections == 0


@pytest.mark.parametrize(
    "addresses", [[ALLOWED, REFUSED], [REFUSED, ALLOWED], ["::1", REFUSED, ALLOWED], [REFUSED, "10.0.0.1", ALLOWED]]
)
async def test_of_several_addresses_only_the_allowed_one_is_dialled(addresses: list[str]) -> None:
    async with listening(keep_alive=False) as listener, client(ALLOWED, resolver=Script(addresses)) as get:
        for _ in range(5):
            assert await get(f"http://crm.test:{listener.port}/") == ALLOWED
        assert listener.connections == 5


@pytest.mark.parametrize("addresses", [[ALLOWED, REFUSED], [REFUSED, ALLOWED]])
async def test_an_allowed_address_that_does_not_answer_is_no_refusal(addresses: list[str]) -> None:
    # A server on the refused address only, so the allowed one refuses the connection.
    async with listening(REFUSED) as listener, client(ALLOWED, resolver=Script(addresses)) as get:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await get(f"http://crm.test:{listener.port}/")
        assert refusal_of(caught.value) is None
        assert isinstance(caught.value.os_error, ConnectionRefusedError)
        assert listener.connections == 0


async def test_a_name_that_is_bound_anew_to_a_refused_address_is_refused() -> None:
    rebinding = Script([ALLOWED], [REFUSED])
    async with (
        listening(keep_alive=False) as listener,
        client(ALLOWED, resolver=rebinding, dns_cache_s=0) as get,
    ):
        url = f"http://crm.test:{listener.port}/"
        assert await get(url) == ALLOWED
        assert await refusal(get, url) == ((REFUSED, "loopback"),)
        assert rebinding.lookups == 2
        assert listener.connections == 1


async def test_a_refusal_is_not_remembered() -> None:
    async with listening() as listener, client(ALLOWED, resolver=Script([REFUSED], [ALLOWED])) as get:
        url = f"http://crm.test:{listener.port}/"
        assert await refusal(get, url) == ((REFUSED, "loopback"),)
        assert await get(url) == ALLOWED


@pytest.mark.parametrize("addresses", [[REFUSED, ALLOWED], [REFUSED, "::1"], [REFUSED]])
async def test_the_socket_is_guarded_even_where_the_resolver_lets_everything_pass(addresses: list[str]) -> None:
    async with listening(keep_alive=False) as listener:
        connector = guarded_connector(EgressPolicy.parse([ALLOWED]))
        connector._resolver = Script(addresses)
        async with aiohttp.ClientSession(connector=connector) as session:
            reached: list[str] = []
            for _ in range(3):
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    async with session.get(f"http://crm.test:{listener.port}/") as response:
                        reached.append(await response.text())
            assert reached == [ALLOWED] * (3 if ALLOWED in addresses else 0)
            assert listener.connections == len(reached)


async def test_a_name_without_addresses_is_a_failed_lookup() -> None:
    async with client(resolver=Script([])) as get:
        with pytest.raises(aiohttp.ClientConnectorDNSError) as caught:
            await get("http://crm.test/")
        assert refusal_of(caught.value) is None


async def test_a_lookup_that_fails_is_no_refusal() -> None:
    async with client(resolver=NoSuchName([])) as get:
        with pytest.raises(aiohttp.ClientConnectorDNSError) as caught:
            await get("http://crm.test/")
        assert refusal_of(caught.value) is None
        assert isinstance(caught.value.os_error, socket.gaierror)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
async def test_loopback_works_when_it_is_allowed(host: str) -> None:
    async with listening() as listener, client("127.0.0.0/8") as get:
        assert await get(f"http://{host}:{listener.port}/") == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="IPv6 is not built in")
async def test_v6_loopback_works_when_it_is_allowed() -> None:
    async with listening("::1") as listener, client("::1") as get:
        assert await get(f"http://[::1]:{listener.port}/") == "::1"


async def test_a_mapped_address_works_when_the_v4_address_is_allowed() -> None:
    async with listening(ALLOWED) as listener, client(ALLOWED) as get:
        assert await get(f"http://[::ffff:127.0.0.2]:{listener.port}/") == ALLOWED
        assert await refusal(get, f"http://[::ffff:127.0.0.3]:{listener.port}/")


async def test_a_connection_is_used_again() -> None:
    resolver = Script([ALLOWED], [REFUSED])
    async with listening() as listener, client(ALLOWED, resolver=resolver, dns_cache_s=0) as get:
        for _ in range(5):
            assert await get(f"http://crm.test:{listener.port}/") == ALLOWED
        assert listener.connections == 1
        assert resolver.lookups == 1


async def test_requests_that_share_one_lookup_share_its_refusal() -> None:
    resolver = Script([REFUSED])
    async with listening() as listener, client(ALLOWED, resolver=resolver) as get:
        url = f"http://crm.test:{listener.port}/"
        assert await asyncio.gather(*(refusal(get, url) for _ in range(20))) == [((REFUSED, "loopback"),)] * 20
        assert listener.connections == 0
