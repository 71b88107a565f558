"""What ``ringback sdk-env`` prints, run as printed with the example of the page, against a running Ringback."""

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.cli.snippets import Language
from tests.docs.documents import marked
from tests.docs.test_examples import output_of
from tests.fakes import node_sdk
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint
from tests.fakes.process import Served, create_account, run, served

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Served]:
    account = create_account(tmp_path)
    async with served(tmp_path, account) as running:
        yield running


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as recording:
        yield recording


def printed(ringback: Served, language: Language) -> str:
    ended = run("sdk-env", "--language", language, "--url", ringback.url)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def example(language: Language, endpoint: RecordingEndpoint) -> str:
    return marked(f"send: {language}").text.replace("https://example.com", endpoint.url)


def environment(ringback: Served) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PLIVO_AUTH_ID": ringback.account["auth_id"],
        "PLIVO_AUTH_TOKEN": ringback.account["auth_token"],
        # What misses Ringback ends here, not at Plivo.
        "https_proxy": "http://127.0.0.1:9",
    }


async def called_back(endpoint: RecordingEndpoint, uuid: str) -> None:
    requests = await endpoint.wait_for(3)
    assert all(f"MessageUUID={uuid}" in request.body.decode() for request in requests)
    assert {request.target for request in requests} == {"/status"}


async def test_python(ringback: Served, endpoint: RecordingEndpoint) -> None:
    code = printed(ringback, Language.PYTHON) + example(Language.PYTHON, endpoint)
    await called_back(endpoint, (await output_of(sys.executable, "-c", code, env=environment(ringback))).strip())


async def test_node(ringback: Served, endpoint: RecordingEndpoint) -> None:
    node_sdk.install()
    code = printed(ringback, Language.NODE) + example(Language.NODE, endpoint)
    await called_back(endpoint, (await node_sdk.output_of("-e", code, env=environment(ringback))).strip())


async def test_what_the_node_sdk_sends_to_a_fixed_host_comes_here_too(ringback: Served) -> None:
    node_sdk.install()
    call = "client.applications.get('1').catch((error) => console.log(error.status));"
    code = printed(ringback, Language.NODE) + call
    said = await node_sdk.output_of("-e", code, env=environment(ringback))
    assert said == "404\n"


@needs_curl
async def test_curl(ringback: Served, endpoint: RecordingEndpoint) -> None:
    sent = example(Language.CURL, endpoint).replace("http://127.0.0.1:8080", ringback.url)
    uuid = json.loads(await output_of("sh", "-c", sent, env=environment(ringback)))["message_uuid"][0]
    await called_back(endpoint, uuid)
    listed = json.loads(await output_of("sh", "-c", printed(ringback, Language.CURL), env=environment(ringback)))
    assert [message["message_uuid"] for message in listed["objects"]] == [uuid]


@needs_curl
async def test_credentials_are_printed_ready_for_a_shell(ringback: Served, tmp_path: Path) -> None:
    account = ringback.account["auth_id"]
    ended = run(
        "sdk-env", "--language", "curl", "--url", ringback.url, "--auth-id", account, "--data-dir", str(tmp_path)
    )
    listed = json.loads(await output_of("sh", "-c", ended.stdout, env={"PATH": os.environ["PATH"]}))
    assert listed["objects"] == []
