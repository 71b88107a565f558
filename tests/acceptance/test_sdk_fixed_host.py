"""The official SDKs as they are, with the host that they have built in, which a resolver takes for this machine's."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import plivo
import pytest
import requests

from tests.docs.test_examples import output_of
from tests.fakes import node_sdk
from tests.fakes.platform import running, settings_for
from tests.fakes.tls import FIXED_HOST, certificates, resolve_to_loopback, tls_settings


async def test_the_python_sdk_sends_to_its_own_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificates(tmp_path / "tls")
    async with running(settings_for(tmp_path, server=tls_settings(files))) as ringback:
        resolve_to_loopback(monkeypatch, FIXED_HOST, int(ringback.platform.tls_url.rpartition(":")[2]))
        with plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as client:
            client.session.verify = str(files.authority)
            assert client.base_uri == f"https://{FIXED_HOST}/v1/Account"
            fields = {"src": "+15005550100", "dst": "+15005550001", "text": "Hello"}
            created = await asyncio.to_thread(lambda: client.messages.create(**fields))
            uuid = created.message_uuid[0]
            await ringback.until_status(uuid, "delivered")
            found = await asyncio.to_thread(client.messages.get, uuid)
        assert found.message_state == "delivered"


async def test_the_python_sdk_takes_no_heed_of_the_environments_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why documents say ``client.session.verify``: the SDK sends prepared requests, which skip the environment."""
    files = certificates(tmp_path / "tls")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(files.authority))
    async with running(settings_for(tmp_path, server=tls_settings(files))) as ringback:
        resolve_to_loopback(monkeypatch, FIXED_HOST, int(ringback.platform.tls_url.rpartition(":")[2]))
        with (
            plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as client,
            pytest.raises(requests.exceptions.SSLError),
        ):
            await asyncio.to_thread(client.messages.list)


AS_A_HOSTS_ENTRY = """
const net = require("net");
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const wanted = (Array.isArray(given[0]) ? given[0] : given)[0];
  if (wanted && wanted.host === process.env.FIXED_HOST) {
    Object.assign(wanted, { host: "127.0.0.1", port: process.env.PORT });
  }
  return connect.apply(this, given);
};
"""
SEND = """
const plivo = require("plivo");
new plivo.Client().messages.create("15005550100", "15005550001", "Hello")
  .then((response) => console.log(response.messageUuid[0]), (error) => console.log(String(error)));
"""


async def test_the_node_sdk_sends_to_its_own_host(tmp_path: Path) -> None:
    node_sdk.install()
    files = certificates(tmp_path / "tls")
    async with running(settings_for(tmp_path, server=tls_settings(files))) as ringback:
        env = {
            "PATH": os.environ["PATH"],
            "PLIVO_AUTH_ID": ringback.account.auth_id,
            "PLIVO_AUTH_TOKEN": ringback.account.tokens[0],
            "FIXED_HOST": FIXED_HOST,
            "PORT": ringback.platform.tls_url.rpartition(":")[2],
        }
        distrusted = await node_sdk.output_of("-e", AS_A_HOSTS_ENTRY + SEND, env=env)
        assert "certificate" in distrusted
        trusted = {**env, "NODE_EXTRA_CA_CERTS": str(files.authority)}
        uuid = (await node_sdk.output_of("-e", AS_A_HOSTS_ENTRY + SEND, env=trusted)).strip()
        await ringback.until_status(uuid, "delivered")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_sends_to_that_host_too(tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls")
    async with running(settings_for(tmp_path, server=tls_settings(files))) as ringback:
        account = ringback.account
        port = ringback.platform.tls_url.rpartition(":")[2]
        listed = await output_of(
            "curl", "--silent", "--show-error", "--fail", "--cacert", str(files.authority),
            "--connect-to", f"{FIXED_HOST}:443:127.0.0.1:{port}", "--user", f"{account.auth_id}:{account.tokens[0]}",
            f"https://{FIXED_HOST}/v1/Account/{account.auth_id}/Message/",
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert json.loads(listed)["objects"] == []
