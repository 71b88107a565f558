"""What operators do about customers over SMPP: the command line, the dashboard, figures, settings."""

import asyncio
import json
from pathlib import Path

import pytest

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer
from ringback.model.errors import ConfigInvalid, PortInUse
from ringback.model.ids import AccountId
from ringback.store import accounts, smpp_binds, smpp_logins
from ringback.wiring.platform import open_platform
from tests.fakes.esme import add_login, bind, bound_esme, connect
from tests.fakes.platform import running, settings_for
from tests.fakes.ports import held_port
from tests.fakes.process import create_account, run
from tests.integration.test_carriers import Dashboard, dashboard, press  # noqa: F401 - a fixture


def smpp(directory: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    done = run("account", "smpp", *arguments, "--data-dir", str(directory))
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_logins_by_command(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    made = json.loads(smpp(tmp_path, "create", account["auth_id"], "acme", "--inbound", "--json")[0])
    assert (made["auth_id"], made["system_id"], len(made["password"])) == (account["auth_id"], "acme", 8)
    (login,) = lines(smpp(tmp_path, "list", account["auth_id"], "--json")[0])
    assert {name: login[name] for name in ("inbound", "allow", "binds", "owed", "log")} == {
        "inbound": True, "allow": [], "binds": 0, "owed": 0, "log": "true",
    }  # fmt: skip
    smpp(tmp_path, "set", "acme", "--no-inbound", "--allow", "127.0.0.1", "--allow", "10.0.0.0/8", "--log", "false")
    after = json.loads(smpp(tmp_path, "rotate", "acme", "--json")[0])
    assert after["password"] != made["password"]
    async with running(settings_for(tmp_path, smpp_server={"port": 0})) as ringback:
        (port,) = ringback.platform.smpp_ports
        old = await bind(await connect(port), password=made["password"])
        assert isinstance(old, Answer)
        assert old.status == names.INVALID_PASSWORD
        async with bound_esme(port, password=after["password"]) as esme:
            clock = ringback.platform.clock
            await ringback.until(lambda tx: smpp_binds.now(tx, clock.now_us()))
            (shown,) = lines((await asyncio.to_thread(smpp, tmp_path, "binds", "--json"))[0])
            assert (shown["system_id"], shown["kind"]) == ("acme", "transceiver")
            assert "acme" in (await asyncio.to_thread(smpp, tmp_path, "binds"))[0]
            await asyncio.to_thread(smpp, tmp_path, "disconnect", "acme")
            async with asyncio.timeout(60):
                await esme.connection.closed
    assert lines(smpp(tmp_path, "list", "--json")[0])[0]["allow"] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert "acme" in smpp(tmp_path, "list")[0]
    smpp(tmp_path, "remove", "acme")
    assert "no logins yet" in smpp(tmp_path, "list")[1]
    assert "nobody is bound" in smpp(tmp_path, "binds")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "MANOBODY000000000000", "acme"), "there is no account MANOBODY000000000000"),
        (("create", "MANOBODY000000000000", "a b"), "a system id has up to 15"),
        (("create", "MANOBODY000000000000", "acme", "--password", "too long it is"), "an SMPP password has"),
        (("create", "MANOBODY000000000000", "acme", "--allow", "home"), "give an address"),
        (("set", "acme"), "nothing to set"),
        (("set", "acme", "--inbound"), "there is no SMPP login acme"),
        (("rotate", "acme"), "there is no SMPP login acme"),
        (("remove", "acme"), "there is no SMPP login acme"),
        (("disconnect", "acme"), "there is no SMPP login acme"),
    ],
)
def test_what_commands_cannot_do(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in smpp(tmp_path, *arguments, code=2)[1]


async def test_the_page_shows_who_is_bound_and_disconnects(dashboard: Dashboard) -> None:  # noqa: F811
    now_us = dashboard.clock.now_us()
    async with dashboard.operator() as client:
        async with client.get("/dashboard/carriers") as answer:
            assert "Customers over SMPP" not in await answer.text()
        account_id = "MAAAAAAAAAAAAAAAAAAA"
        await dashboard.store.write(
            lambda tx: accounts.create(tx, auth_id=AccountId(account_id), token="token", name="test", now_us=0)
        )
        login = await add_login(dashboard.store, account_id, "acme", takes_inbound=True)
        shown = smpp_binds.Bind(
            node="host:1", number=1, system_id="acme", account_id=account_id, kind="transceiver", address="192.0.2.7",
            since_us=now_us - 60_000_000, window_used=3, window_allowed=10, submits_per_s=12.5,
        )  # fmt: skip
        await dashboard.store.write(lambda tx: smpp_binds.note(tx, "host:1", [shown], now_us=now_us))
        async with client.get("/dashboard/carriers") as answer:
            html = await answer.text()
        assert "Customers over SMPP" in html
        assert login.password_hash not in html
        assert all(words in html for words in ("192.0.2.7", "transceiver", "12.5", "3 of 10", "takes inbound"))
        assert "acme is disconnected" in await press(client, action="disconnect", name="acme")
        async with client.post("/dashboard/carriers", data={"action": "disconnect", "name": "nobody"}) as answer:
            assert answer.status == 404
    after = await dashboard.store.read(lambda tx: smpp_logins.find(tx, "acme"))
    assert after is not None
    assert after.disconnected_at_us == now_us


async def test_figures(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, smpp_server={"port": 0})) as ringback:
        await add_login(ringback.platform.store, ringback.account.auth_id)
        async with bound_esme(ringback.platform.smpp_ports[0]) as esme:
            await esme.submitted()
            await esme.submit(dest="12")
            await esme.until(lambda: bool(esme.told))
            async with ringback.http.get(f"{ringback.url}/metrics") as answer:
                figures = await answer.text()
    for line in (
        'ringback_smpp_server_binds_total{status="ESME_ROK"} 1.0',
        'ringback_smpp_server_requests_total{request="submit_sm",status="ESME_ROK"} 1.0',
        'ringback_smpp_server_requests_total{request="submit_sm",status="ESME_RINVDSTADR"} 1.0',
        "ringback_smpp_server_connections 1.0",
        "ringback_messages_accepted_total 1.0",
    ):
        assert line in figures, line


async def test_ports_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"smpp_server\.tls_port needs"):
        async with open_platform(settings_for(tmp_path, smpp_server={"tls_port": 0})):
            pass
    with held_port() as port, pytest.raises(PortInUse, match=r"choose another with smpp_server\.port"):
        async with open_platform(settings_for(tmp_path, smpp_server={"port": port})):
            pass
