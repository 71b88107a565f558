"""Conversions on their way to a provider: a recording one, and another Ringback."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.receiver.report import NotReported, Reporter
from ringback.store import conversions, conversions_out
from ringback.store.conversions_out import ConversionOut
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint, reset, status
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import Served, run, served

AUTH_ID = "MAXXXXXXXXXXXXXXXXXX"
TOKEN = "token-at-the-provider"
UUID = "019ab000-0000-7000-8000-000000000001"
AUTH = {"Authorization": aiohttp.encode_basic_auth(AUTH_ID, TOKEN)}


@pytest.fixture
async def provider() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as found:
        yield found


def source(url: str, **more: Any) -> dict[str, Any]:
    return {"auth_id": AUTH_ID, "tokens": [TOKEN], "api_url": url, "api_retry_delays_s": [0.05, 0.05], **more}


@pytest.fixture
async def ringback(tmp_path: Path, provider: RecordingEndpoint) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path, sources={"plivo": source(provider.url)})) as platform:
        yield platform


async def post(ringback: Running, auth: dict[str, str] = AUTH, **said: Any) -> tuple[int, dict[str, Any]]:
    async with ringback.http.post(ringback.url + "/conversions", json=said, headers=auth) as answer:
        return answer.status, await answer.json()


async def get(ringback: Running, query: str = "") -> dict[str, Any]:
    async with ringback.http.get(f"{ringback.url}/conversions{query}", headers=AUTH) as answer:
        assert answer.status == 200, await answer.text()
        shown: dict[str, Any] = await answer.json()
        return shown


async def until_over(ringback: Running, count: int = 1) -> list[ConversionOut]:
    async with asyncio.timeout(60):
        hint = ringback.platform.wakeups.listen("conversions")
        while True:
            found = await ringback.platform.store.read(lambda tx: conversions_out.page(tx, limit=10_000))
            if len(found) >= count and all(each.state != "pending" for each in found):
                hint.close()
                return found
            await hint.wait(1)


async def test_a_conversion_is_reported_as_the_contract_has_it(ringback: Running, provider: RecordingEndpoint) -> None:
    said = {"message_uuid": UUID, "value": "converted", "timestamp": "2026-01-31T12:00:00+01:00"}
    code, told = await post(ringback, **said)
    assert (code, [each["taken"] for each in told["conversions"]]) == (202, ["new"])
    await until_over(ringback)
    assert (await post(ringback, **said))[1]["conversions"][0]["taken"] == "duplicate"
    (request,) = provider.requests
    assert (request.method, request.target) == ("POST", f"/v1/account/{AUTH_ID}/message/{UUID}/conversion/")
    assert request.header("Authorization") == AUTH["Authorization"]
    assert request.header("Content-Type") == "application/json"
    assert json.loads(request.body) == {"status": "CONVERTED", "timestamp": "2026-01-31T11:00:00.000000Z"}
    (shown,) = (await get(ringback))["conversions"]
    assert (shown["state"], shown["attempts_made"], shown["http_status"]) == ("sent", 1, 200)


async def test_another_ringback_takes_it(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path / "provider")) as provider:
        _, told = await provider.send(trackable=True)
        [uuid] = told["message_uuid"]
        _, told = await provider.send()
        [untracked] = told["message_uuid"]
        known = provider.account
        way = {"auth_id": known.auth_id, "tokens": [known.tokens[0]], "api_url": provider.url}
        async with running(settings_for(tmp_path / "ours", sources={"plivo": way}), account=known) as ringback:
            auth = provider.auth
            many = [{"message_uuid": each, "value": "converted"} for each in (uuid, untracked, UUID)]
            assert (await post(ringback, auth, conversions=many))[0] == 202
            over = {each.message_uuid: each for each in await until_over(ringback, 3)}
        assert {uuid: each.state for uuid, each in over.items()} == {uuid: "sent", untracked: "failed", UUID: "failed"}
        assert over[UUID].error == "answered 404: not found"
        assert "trackable=true" in str(over[untracked].error)
        (recorded,) = await provider.platform.store.read(lambda tx: conversions.history(tx, uuid))
        assert recorded.status == "CONVERTED"


async def test_what_passes_is_tried_again_and_what_does_not_is_shown(
    ringback: Running, provider: RecordingEndpoint
) -> None:
    provider.answer_next(status(500), reset, status(202))
    await post(ringback, message_uuid=UUID, value="converted")
    [each] = await until_over(ringback)
    assert (each.state, each.attempts_made) == ("sent", 3)
    provider.answer_next(status(503), status(401), reset)
    await post(ringback, message_uuid="other", value="not_converted")
    [_, each] = await until_over(ringback, 2)
    assert (each.state, each.attempts_made) == ("failed", 3)
    failed = await get(ringback, "?state=failed")
    assert [each["message_uuid"] for each in failed["conversions"]] == ["other"]
    async with ringback.http.get(ringback.url + "/metrics") as answer:
        text = await answer.text()
    assert 'ringback_conversions_reported_total{result="sent"} 1.0' in text
    assert 'ringback_conversions_reported_total{result="put_off"} 4.0' in text
    assert 'ringback_conversions_reported_total{result="failed"} 1.0' in text


async def test_the_last_word_on_a_message_is_reported_last(ringback: Running, provider: RecordingEndpoint) -> None:
    provider.answer_next(status(500))
    words = ["CONVERTED", "NOT_CONVERTED", "CONVERTED"]
    many = [{"message_uuid": UUID, "value": word} for word in words]
    await post(ringback, conversions=many)
    await until_over(ringback, 3)
    assert [json.loads(request.body)["status"] for request in provider.requests] == ["CONVERTED", *words]


async def test_a_provider_that_is_asked_too_often_is_left_alone(ringback: Running, provider: RecordingEndpoint) -> None:
    provider.answer_next(status(429, **{"Retry-After": "600"}))
    await post(ringback, message_uuid=UUID, value="converted")

    def tried(tx: Any) -> ConversionOut | None:
        [found] = conversions_out.page(tx, message_uuid=UUID, limit=1)
        return found if found.http_status else None

    shown = await ringback.until(tried)
    # It rests for as long as it is told to, and so do the others of its source.
    await post(ringback, message_uuid="other", value="converted")
    assert (shown.state, shown.attempts_made, shown.http_status) == ("pending", 0, 429)
    assert [each["tried_at"] for each in (await get(ringback, "?message_uuid=other"))["conversions"]] == [None]
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"message_uuid": UUID, "value": "delivered"}, "value must be one of"),
        ({"value": "converted"}, "message_uuid must be"),
        ({"conversions": []}, "must be a list of 1 to 1000"),
        ({"conversions": ["x"]}, "conversions[0]: must be a JSON object"),
        ({"conversions": [{"message_uuid": "m", "value": "converted"}, {}]}, "conversions[1]: "),
        ({"message_uuid": UUID, "value": "converted", "source": "theirs"}, "there are: plivo"),
    ],
)
async def test_what_cannot_be_reported_is_refused_as_a_whole(
    ringback: Running, said: dict[str, Any], complaint: str
) -> None:
    code, told = await post(ringback, **said)
    assert code == 400
    assert complaint in told["error"]
    assert (await get(ringback))["conversions"] == []


async def test_only_the_owner_of_a_source_reports_and_sees(ringback: Running) -> None:
    assert (await post(ringback, {}, message_uuid=UUID, value="converted"))[0] == 401
    code, told = await post(ringback, ringback.auth, message_uuid=UUID, value="converted")
    assert (code, told["error"]) == (400, "source must be the name of a source of this account; there are: none")
    await post(ringback, message_uuid=UUID, value="converted")
    async with ringback.http.get(ringback.url + "/conversions", headers=ringback.auth) as answer:
        assert (await answer.json())["conversions"] == []
    for query in ("?state=done", "?limit=0", "?after=x"):
        async with ringback.http.get(ringback.url + "/conversions" + query, headers=AUTH) as answer:
            assert answer.status == 400


async def test_the_account_of_a_source_reads_and_neither_changes_nor_sends(ringback: Running) -> None:
    path = f"{ringback.url}/v1/Account/{AUTH_ID}/Message/"
    async with ringback.http.get(path, headers=AUTH) as answer:
        assert answer.status == 200
    body = {"src": "15005550100", "dst": "15005550001", "text": "hello"}
    async with ringback.http.post(path, json=body, headers=AUTH) as answer:
        assert answer.status == 401
        assert "reads what its source has received" in (await answer.json())["error"]


async def test_pages_go_on_from_a_cursor(ringback: Running) -> None:
    await post(ringback, conversions=[{"message_uuid": f"m-{n}", "value": "converted"} for n in range(5)])
    seen, after, more = [], 0, True
    while more:
        page = await get(ringback, f"?limit=2&after={after}")
        seen += [each["message_uuid"] for each in page["conversions"]]
        after, more = page["after"], page["has_more"]
    assert seen == [f"m-{n}" for n in range(5)]


async def test_a_program_reports_with_one_call(ringback: Running, provider: RecordingEndpoint) -> None:
    reporter = Reporter(url=ringback.url, auth_id=AUTH_ID, token=TOKEN)
    at = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - what a caller may give
    assert await asyncio.to_thread(reporter.report, UUID, at=at) == "new"
    assert await asyncio.to_thread(reporter.report, UUID) == "duplicate"
    await until_over(ringback)
    assert json.loads(provider.requests[0].body)["timestamp"] == "2026-01-31T12:00:00.000000Z"
    with pytest.raises(NotReported, match="there are: plivo"):
        await asyncio.to_thread(Reporter(url=ringback.url, auth_id=AUTH_ID, token=TOKEN, source="x").report, UUID)
    with pytest.raises(NotReported, match="401"):
        await asyncio.to_thread(Reporter(url=ringback.url, auth_id=AUTH_ID, token="wrong").report, UUID)


async def test_a_call_outlives_a_moment_in_which_ringback_is_away(provider: RecordingEndpoint) -> None:
    async def taken(_: Any) -> aiohttp.web.StreamResponse:
        return aiohttp.web.json_response({"conversions": [{"taken": "new"}]}, status=202)

    pauses: list[float] = []
    reporter = Reporter(url=provider.url, auth_id=AUTH_ID, token=TOKEN)
    provider.answer_next(reset, status(503), taken)
    assert await asyncio.to_thread(reporter.report, UUID, pause=pauses.append) == "new"
    assert pauses == [0.5, 1.0]
    provider.answer_next(status(503), status(503), status(503))
    with pytest.raises(NotReported, match="503: nothing that can be read"):
        await asyncio.to_thread(reporter.report, UUID, pause=pauses.append)


def environment(provider: RecordingEndpoint) -> dict[str, str]:
    given = {"AUTH_ID": AUTH_ID, "TOKENS": TOKEN, "API_URL": provider.url, "API_PER_S": "1000"}
    # A report that a busy machine keeps waiting has not failed: made again it would be one more than the test answers.
    patient = {f"RINGBACK_DELIVERY__{name}": "12" for name in ("DEADLINE_S", "CONNECT_TIMEOUT_S")}
    return {f"RINGBACK_SOURCES__PLIVO__{name}": value for name, value in given.items()} | patient


async def test_a_kill_between_accepting_and_reporting_loses_none(tmp_path: Path, provider: RecordingEndpoint) -> None:
    total, kills = 600, 5

    async def one(server: Served, http: aiohttp.ClientSession, number: int) -> bool:
        said = {"message_uuid": f"m-{number}", "value": "converted"}
        try:
            async with http.post(server.url + "/conversions", json=said, headers=AUTH) as answer:
                return answer.status == 202
        except aiohttp.ClientError:
            return False

    accepted: set[int] = set()
    left = list(range(total))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        for round_ in range(kills + 1):
            async with served(tmp_path, {}, **environment(provider)) as server:
                batch = left[: total // kills] if round_ < kills else left
                waiting = [asyncio.create_task(one(server, http, number)) for number in batch]
                if round_ < kills:
                    await provider.wait_for(len(provider.requests) + 10)
                    await server.kill()
                taken = await asyncio.gather(*waiting)
                accepted |= {number for number, ok in zip(batch, taken, strict=True) if ok}
                left = [number for number in left if number not in accepted]
                if round_ == kills:
                    await _until_reported(provider, total)
    assert len(accepted) == total
    reported = [request.target.split("/")[5] for request in provider.requests]
    assert set(reported) == {f"m-{number}" for number in range(total)}
    # Twice only what was in flight at a kill: 16 at a time.
    assert len(reported) - total <= 16 * kills


async def _until_reported(provider: RecordingEndpoint, total: int) -> None:
    async with asyncio.timeout(180):
        seen = 0
        while len({request.target for request in provider.requests}) < total:
            seen = len(await provider.wait_for(max(seen, len(provider.requests)) + 1))


async def test_the_command_takes_one_or_a_file_and_shows_what_has_failed(
    tmp_path: Path, provider: RecordingEndpoint
) -> None:
    env = environment(provider)
    here = ("--data-dir", str(tmp_path))

    def conversion(*arguments: str) -> Any:
        return run("conversion", *arguments, *here, **env)

    one = conversion("report", UUID, "--source", "plivo", "--at", "2026-01-31T12:00:00Z", "--json")
    assert json.loads(one.stdout) == {"message_uuid": UUID, "taken": "new"}
    assert conversion("report", UUID).stdout == "duplicate\n"
    lines = tmp_path / "many.ndjson"
    lines.write_text(
        "".join(json.dumps({"message_uuid": f"m-{n}", "value": "not-converted"}) + "\n" for n in range(600))
        + '{"message_uuid": ""}\n{broken\n'
    )
    many = conversion("report", "--file", str(lines), "--json")
    assert (many.returncode, json.loads(many.stdout)) == (
        1,
        {"new": 600, "again": 0, "duplicate": 0, "refused": 2},
    )
    assert "line 601: message_uuid must be" in many.stderr
    assert "line 602: is no JSON" in many.stderr
    table = tmp_path / "many.csv"
    table.write_text('value,message_uuid,timestamp\nconverted,"m-1",2026-01-31T12:00:00Z\n\nnot-converted,m-2,\n')
    assert conversion("report", "--file", str(table)).stdout == "1 new, 0 again, 1 duplicate, 0 refused\n"
    headless = tmp_path / "bad.csv"
    headless.write_text("m-1,converted\n")
    for arguments, complaint in (
        (("report", "--file", str(headless)), "message_uuid has to be among them"),
        (("report", "--file", str(tmp_path / "none")), "cannot read"),
        (("report",), "name either a message or"),
        (("list", "--state", "x"), "--state must be one of"),
        (("report", "m", "--source", "x"), "there are: plivo"),
    ):
        refused = conversion(*arguments)
        assert refused.returncode != 0
        assert complaint in refused.stderr
    provider.answer_next(*[status(404)] * 602)
    async with served(tmp_path, {}, **env) as server:
        await provider.wait_for(602, timeout_s=180)
        assert await server.terminate() == 0
    shown = conversion("list", "--state", "failed", "--json", "--limit", "5000").stdout.splitlines()
    assert len(shown) == 602
    assert {json.loads(line)["error"] for line in shown} == {"answered 404: Not Found"}
    # All but one, of whose message something else was said afterwards.
    assert "601 are reported once more" in conversion("retry").stdout
    assert "m-599" in conversion("list", "--message", "m-599").stdout
