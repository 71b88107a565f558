"""HTTPS beside HTTP: one application, one end, and what keeps it from starting."""

import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.model.errors import ConfigInvalid, PortInUse
from ringback.wiring.platform import open_platform
from tests.fakes.platform import running, settings_for
from tests.fakes.ports import free_port, held_port
from tests.fakes.process import create_account, run, served
from tests.fakes.tls import certificates, tls_settings


async def test_the_same_application_answers_on_both(tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls")
    trusting = ssl.create_default_context(cafile=str(files.authority))
    async with running(settings_for(tmp_path, server=tls_settings(files))) as ringback:
        tls_url = ringback.platform.tls_url
        assert tls_url.startswith("https://127.0.0.1:")
        status, sent = await ringback.send()
        assert status == 202
        path = ringback.messages_url.removeprefix(ringback.url)
        async with ringback.http.get(tls_url + path, headers=ringback.auth, ssl=trusting) as response:
            listed = await response.json()
        assert [message["message_uuid"] for message in listed["objects"]] == sent["message_uuid"]
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ringback.http.get(f"{tls_url}/livez")


async def test_without_a_certificate_there_is_no_https(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        assert ringback.platform.tls_url == ""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tls_key": None}, "go together"),
        ({"tls_certificate": None}, "go together"),
        ({"tls_key": Path("nowhere.key")}, "No such file"),
        ({"tls_key": "certificate"}, "cannot serve HTTPS with"),
    ],
)
async def test_what_cannot_serve_is_told_at_start(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    files = certificates(tmp_path / "tls")
    if change == {"tls_key": "certificate"}:
        change = {"tls_key": files.certificate}
    settings = settings_for(tmp_path, server={**tls_settings(files), **change})
    with pytest.raises(ConfigInvalid, match=complaint):
        async with open_platform(settings):
            pass


async def test_a_port_that_is_taken_is_told_with_the_setting_that_chooses_it(tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls")
    with held_port() as port, pytest.raises(PortInUse, match=r"choose another with server\.tls_port"):
        async with open_platform(settings_for(tmp_path, server={**tls_settings(files), "tls_port": port})):
            pass


async def test_made_by_the_command_line_and_served_by_a_process(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    made = run("tls", "init", "--data-dir", str(tmp_path), "--json")
    assert made.returncode == 0, made.stderr
    files = json.loads(made.stdout)
    assert files["names"] == ["api.plivo.com", "localhost", "127.0.0.1"]
    port = free_port()
    environment = {
        "RINGBACK_SERVER__TLS_CERTIFICATE": files["certificate"],
        "RINGBACK_SERVER__TLS_KEY": files["key"],
        "RINGBACK_SERVER__TLS_PORT": str(port),
    }
    trusting = ssl.create_default_context(cafile=files["authority"])
    async with served(tmp_path, account, **environment) as ringback, aiohttp.ClientSession() as http:
        async with http.get(f"https://127.0.0.1:{port}/livez", ssl=trusting) as response:
            assert await response.text() == "ok\n"
        assert await ringback.terminate() == 0


def test_the_command_line_says_how_to_use_them(tmp_path: Path) -> None:
    made = run("tls", "init", "--directory", str(tmp_path / "tls"), "--name", "sms.example.com")
    assert made.returncode == 0, made.stderr
    for words in ("tls_certificate = ", "127.0.0.1 sms.example.com", "--cacert", "NODE_EXTRA_CA_CERTS="):
        assert words in made.stdout
    refused = run("tls", "init", "--directory", str(tmp_path / "tls"), "--name", "other.example.com")
    assert refused.returncode == 2
    assert "may not sign for other.example.com" in refused.stderr
