"""Bins for tools: the API, and the command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.dialect.signatures import callback_headers
from ringback.wiring.backbone import create_account
from tests.fakes.bins import captured, until_ended
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    """A platform."""
    async with running(settings_for(tmp_path)) as started:
        yield started


async def call(ringback: Running, method: str, path: str, auth: Any = None, **more: Any) -> tuple[int, Any]:
    headers = ringback.auth if auth is None else {"Authorization": aiohttp.encode_basic_auth(*auth)}
    async with ringback.http.request(method, f"{ringback.url}/v1/bins{path}", headers=headers, **more) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else await answer.text()


async def put(ringback: Running, *bodies: bytes, path: str = "t") -> None:
    for body in bodies:
        async with ringback.http.post(f"{ringback.url}/bin/{path}", data=body, headers={"X-Y": "z z"}) as answer:
            await answer.read()


async def test_a_bin_from_its_making_to_its_end(ringback: Running) -> None:
    status, made = await call(ringback, "POST", "", json={"name": "T", "captures": 5, "script": "500,200"})
    assert status == 201
    assert made["url"] == f"{ringback.url}/bin/t"
    assert (made["name"], made["captures"], made["held"], made["has_password"]) == ("t", 5, 0, False)
    assert [step.get("status", 200) for step in made["script"]["steps"]] == [500, 200]
    status, changed = await call(ringback, "POST", "/t", json={"script": None, "retention_hours": 2})
    assert (status, changed["script"], changed["retention_hours"], changed["captures"]) == (200, None, 2, 5)
    await put(ringback, b"a")
    assert (await call(ringback, "GET", "/t/"))[1]["held"] == 1
    assert [item["name"] for item in (await call(ringback, "GET", ""))[1]["objects"]] == ["t"]
    assert (await call(ringback, "DELETE", "/t/captures/"))[1]["removed"] == 1
    assert (await call(ringback, "DELETE", "/t"))[0] == 204
    assert (await call(ringback, "GET", "/t"))[0] == 404


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "a b"}, "name must be"), ({"name": "new"}, "name must be"), ({"captures": 0}, "captures must be"),
        ({"megabytes": 10**9}, "megabytes must be"), ({"retention_hours": -1}, "retention_hours must be"),
        ({"script": "x"}, "is no step"), ({"password": 7}, "password must be"), ({"what": 1}, "is no parameter here"),
    ],
)  # fmt: skip
async def test_what_no_bin_can_be_made_of(ringback: Running, fields: dict[str, Any], says: str) -> None:
    status, answer = await call(ringback, "POST", "", json=fields)
    assert (status, says in answer["error"]) == (400, True), answer


async def test_captures_by_cursor_and_by_text(ringback: Running) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    await put(ringback, b"one", b"two needle", b"\x00\xff", b"four needle")
    _, first = await call(ringback, "GET", "/t/captures?limit=3")
    assert [item["number"] for item in first["objects"]] == [1, 2, 3]
    _, rest = await call(ringback, "GET", f"/t/captures?after={first['next']}")
    assert ([item["number"] for item in rest["objects"]], rest["next"]) == ([4], None)
    _, found = await call(ringback, "GET", "/t/captures", params={"search": "needle"})
    assert [item["number"] for item in found["objects"]] == [4, 2]
    assert (await call(ringback, "GET", "/t/captures?search=a&after=1"))[0] == 400
    _, item = await call(ringback, "GET", "/t/captures/2")
    assert (item["body"], item["method"], item["path"], ["X-Y", "z z"] in item["headers"]) == (
        "two needle", "POST", "/bin/t", True,
    )  # fmt: skip
    assert (await call(ringback, "GET", "/t/captures/3"))[1]["body_base64"] == "AP8="
    headers = ringback.auth
    async with ringback.http.get(f"{ringback.url}/v1/bins/t/captures/3/body", headers=headers) as answer:
        assert await answer.read() == b"\x00\xff"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    for number in ("9", "x", "0", "1" * 30):
        assert (await call(ringback, "GET", f"/t/captures/{number}"))[0] == 404


async def test_waiting_ends_with_the_last_capture_or_with_the_time(ringback: Running) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    _, over = await call(ringback, "GET", "/t/wait?count=2&timeout_s=0")
    assert (over["met"], over["objects"]) == (False, [])
    waiting = asyncio.create_task(call(ringback, "GET", "/t/wait?count=3&timeout_s=30"))
    await put(ringback, b"1", b"2", b"3")
    _, there = await waiting
    assert (there["met"], [item["number"] for item in there["objects"]]) == (True, [1, 2, 3])
    _, later = await call(ringback, "GET", "/t/wait?after=2")
    assert [item["number"] for item in later["objects"]] == [3]


async def test_others_see_nothing_and_a_password_reads_one_bin(ringback: Running) -> None:
    await call(ringback, "POST", "", json={"name": "t", "password": "sesam"})
    await put(ringback, b"a")
    other = await create_account(ringback.platform.store, ringback.platform.clock, "other")
    stranger = (other.auth_id, other.tokens[0])
    for method, path in (("GET", "/t"), ("POST", "/t"), ("DELETE", "/t"), ("GET", "/t/captures"), ("GET", "/t/wait")):
        assert (await call(ringback, method, path, stranger))[0] == 404
    assert (await call(ringback, "GET", "", stranger))[1]["objects"] == []
    assert (await call(ringback, "GET", "/t/captures/1", ("t", "sesam")))[1]["body"] == "a"
    assert (await call(ringback, "GET", "/t/captures/1", ("t", "wrong")))[0] == 401
    assert (await call(ringback, "DELETE", "/t", ("t", "sesam")))[0] == 401
    # At once, however long each is looked at.
    tried = await asyncio.gather(*(call(ringback, "GET", "/t", ("t", str(guess))) for guess in range(20)))
    guesses = [status for status, _ in tried]
    assert set(guesses) <= {401, 429}
    assert 429 in guesses
    assert (await call(ringback, "GET", "/t", ("t", "sesam")))[0] == 200, "known passwords need no guess"


# ---- exports ----


async def exported(ringback: Running, query: str) -> str:
    async with ringback.http.get(f"{ringback.url}/v1/bins/t/export?{query}", headers=ringback.auth) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_exports_for_people_and_tools(ringback: Running) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    await put(ringback, b"a=1&b='2'", path="t/x%2Fy?q=%20")
    await put(ringback, b"\x00\xff")
    await until_ended(ringback, count=2)
    archive = json.loads(await exported(ringback, "format=har"))["log"]
    assert archive["version"] == "1.2"
    assert [entry["request"]["url"] for entry in archive["entries"]] == [
        f"{ringback.url}/bin/t/x%2Fy?q=%20", f"{ringback.url}/bin/t",
    ]  # fmt: skip
    assert archive["entries"][0]["request"]["postData"]["text"] == "a=1&b='2'"
    lines = (await exported(ringback, "format=ndjson")).splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]
    assert len((await exported(ringback, "format=ndjson&number=2")).splitlines()) == 1
    assert await exported(ringback, "format=ndjson&number=7") == ""


async def test_the_curl_command_sends_the_same_again(ringback: Running) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    await put(ringback, b"a=1&b='2'\n$HOME", path="t/x%2Fy/../z?q=%20[1]")
    await put(ringback, b"\x00\xff@binary")
    await put(ringback, b"@file")
    for line in (await exported(ringback, "format=curl")).strip().split("\ncurl"):
        command = line if line.startswith(("curl", "printf")) else "curl" + line
        done = await asyncio.to_thread(subprocess.run, ["sh", "-c", f"{command}"], capture_output=True, timeout=180)
        assert done.returncode == 0, done.stderr
    items = await captured(ringback)
    assert len(items) == 6
    for before, after in zip(items[:3], items[3:], strict=True):
        assert (after.method, after.path, after.query, after.body) == (
            before.method, before.path, before.query, before.body,
        )  # fmt: skip
        assert after.group_key == before.group_key


async def test_the_exported_test_runs(ringback: Running, tmp_path: Path) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    await put(ringback, b"a='1'\xff", path="t/x%2Fy?q=%20")
    (tmp_path / "test_exported.py").write_text(await exported(ringback, "format=pytest"))
    async with recording_endpoint() as endpoint:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_exported.py"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "TARGET": endpoint.url},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert [(seen.method, seen.body) for seen in endpoint.requests] == [("POST", b"a='1'\xff")]


# ---- command line ----


def test_bins_on_the_command_line(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path))
    assert run("bin", "new", "shop", "--script", "500x2,200", *where).stdout == "http://127.0.0.1:8080/bin/shop\n"
    assert run("bin", "new", "shop", *where).returncode == 2
    assert json.loads(run("bin", "list", "--json", *where).stdout)["name"] == "shop"
    assert "500 x2, then 200" in " ".join(run("bin", "list", *where, COLUMNS="200").stdout.split())
    assert json.loads(run("bin", "show", "shop", "--json", *where).stdout)["newest"] == []
    waited = run("bin", "wait", "shop", "--timeout", "0", *where)
    assert (waited.returncode, waited.stdout) == (1, "")
    assert run("bin", "export", "shop", "--format", "xml", *where).returncode == 2
    target = tmp_path / "out.har"
    assert run("bin", "export", "shop", "--format", "har", "--output", str(target), *where).returncode == 0
    assert json.loads(target.read_text())["log"]["entries"] == []
    assert run("bin", "delete", "shop", *where).returncode == 0
    assert "there is no bin shop" in run("bin", "show", "shop", *where).stderr


async def test_what_is_inferred_and_explained_on_the_command_line(ringback: Running, tmp_path: Path) -> None:
    await call(ringback, "POST", "", json={"name": "t"})
    url = f"{ringback.url}/bin/t"
    token = ringback.account.tokens[0]
    for status in ("sent", "sent", "delivered", "delivered"):
        pairs = [("MessageUUID", "019ab000-0000-7000-8000-000000000001"), ("Status", status)]
        headers = callback_headers(
            "POST", url, pairs, nonce_v2="1", nonce_v3="2", tokens=(token,), main_tokens=(token,)
        )
        async with ringback.http.post(url, data=dict(pairs), headers=headers) as answer:
            assert answer.status == 200
    where = ("--data-dir", str(ringback.platform.settings.store.data_dir))

    async def command(*arguments: str, **environment: str) -> str:
        done = await asyncio.to_thread(run, "bin", *arguments, *where, COLUMNS="200", **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    schema = json.loads(await command("schema", "t", "--json"))
    assert schema["form"]["properties"]["Status"] == {"type": "string", "enum": ["delivered", "sent"]}
    assert schema["form"]["required"] == ["MessageUUID", "Status"]
    assert "4 of 4" in await command("schema", "t")
    assert "cause: The signature v3 fits" in await command("explain", "t", "2")
    told = json.loads(await command("explain", "t", "2", "--token-env", "OTHER", "--json", OTHER="another-token"))
    assert (told["verdict"], told["accepted"]) == ("mismatch", False)
    assert "another-token" not in json.dumps(told)
    moved = await command("explain", "t", "2", "--public-url", "https://elsewhere.example")
    assert "this source verifies https://elsewhere.example/bin/t" in moved
    async with ringback.http.get(url):
        pass
    assert await command("explain", "t", "5") == "this request carries no signature\n"
