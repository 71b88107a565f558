"""``/metrics`` and ``/readyz`` of a whole Ringback."""

import asyncio
import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ringback.settings import Settings, load
from ringback.store import callbacks
from tests.fakes.endpoint import recording_endpoint, status
from tests.fakes.platform import Running, running, settings_for

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


EXPECTED = {
    "ringback_messages_accepted_total": 2,
    'ringback_message_status_changes_total{status="sent"}': 2,
    'ringback_message_status_changes_total{status="delivered"}': 1,
    'ringback_submissions_total{outcome="accepted"}': 2,
    'ringback_callback_attempts_total{outcome="ok"}': 5,
    'ringback_callback_attempts_total{outcome="http_status"}': 1,
    'ringback_callbacks_finished_total{state="delivered"}': 5,
    'ringback_callbacks_finished_total{state="given_up"}': 0,
    "ringback_callback_attempt_seconds_count": 6,
    "ringback_callback_lateness_seconds_count": 6,
    "ringback_attempts_in_flight": 0,
    "ringback_callbacks_waiting": 0,
    "ringback_submissions_waiting": 0,
    'ringback_endpoints{state="closed"}': 1,
    'ringback_http_answers_total{status="2xx",surface="api"}': 1,
    'ringback_http_answers_total{status="4xx",surface="api"}': 1,
    'ringback_http_answers_total{status="4xx",surface="receiver"}': 1,
}


async def get(ringback: Running, path: str) -> tuple[int, str]:
    async with ringback.http.get(ringback.url + path) as response:
        return response.status, await response.text()


def series(text: str) -> dict[str, float]:
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in text.splitlines())
        if name and not name.startswith("#")
    }


async def until_shown(ringback: Running, expected: dict[str, float]) -> tuple[dict[str, float], str]:
    """Look until the series stand as expected, for a while: things are counted just after they are committed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while True:
                text = (await get(ringback, "/metrics"))[1]
                found = series(text)
                if all(found.get(name) == value for name, value in expected.items()):
                    break
                await asyncio.sleep(0.05)
    return found, text


async def test_a_message_leaves_its_marks(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, delivery={"retry_delays_s": [0.05]}, sources={"prov": {"tokens": ["t"]}, "unused": {"tokens": ["t"]}}
    )
    async with recording_endpoint() as endpoint, running(settings) as ringback:
        endpoint.answer_next(status(500))
        await ringback.send(dst="15005550003<15005550001", url=endpoint.url)
        await ringback.until(lambda tx: callbacks.waiting(tx) == 0)
        await endpoint.wait_for(6)
        await ringback.until_called_back()
        async with ringback.http.post(f"{ringback.url}/hooks/prov/sms_status", data=urlencode({"a": "b"})) as refused:
            assert refused.status == 403
        assert (await ringback.send(dst=""))[0] == 400
        found, text = await until_shown(ringback, EXPECTED)
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED
    # It may overtake the answer to its submission.
    assert sum(found[f'ringback_receipts_total{{result="{result}"}}'] for result in ("taken", "early")) == 1
    assert [name for name in found if name.startswith("ringback_received")] == [
        'ringback_received_requests_total{source="prov",verdict="no_signature"}'
    ]
    assert found['ringback_store_transactions_total{kind="write",result="ok"}'] > 5
    # No number, no token, no address of anybody; figures are what they are.
    told = "\n".join([*found, *(line for line in text.splitlines() if line.startswith("#"))])
    assert not re.search(r"1500555|127\.0\.0\.1|MA[A-Z0-9]{18}", told)


async def test_callbacks_that_are_given_up_are_counted(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, delivery={"retry_delays_s": [0.01]})) as ringback:
        _, answer = await ringback.send(dst="15005550003", url="http://127.0.0.1:1/s")
        await ringback.until_status(answer["message_uuid"][0], "sent")
        await ringback.until_called_back()
        expected = {
            'ringback_callbacks_finished_total{state="given_up"}': 2,
            "ringback_callbacks_given_up_last_hour": 2,
            'ringback_callback_attempts_total{outcome="connect"}': 4,
        }
        found, _ = await until_shown(ringback, expected)
    assert {name: found.get(name) for name in expected} == expected


async def test_every_metric_is_documented_with_its_labels(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        text = (await get(ringback, "/metrics"))[1]
    shown = set(re.findall(r"^# TYPE (ringback_\w+) ", text, re.MULTILINE))
    rows = re.findall(r"^\| `(ringback_\w+)` \|([^|]*)\|", OPERATING.read_text(), re.MULTILINE)
    assert shown == {name for name, _ in rows}
    for name, labels in rows:
        used = {
            label
            for name_and_labels in series(text)
            if re.match(rf"{name}(_bucket)?\{{", name_and_labels)
            for label in re.findall(r'(\w+)="', name_and_labels)
        } - {"le"}
        # Requests of the receiver have parts once one has come.
        assert used == set(re.findall(r"\w+", labels)) or name == "ringback_received_requests_total", name


@pytest.mark.parametrize(
    ("groups", "answers"),
    [
        ({}, {"/livez": 200, "/readyz": 200, "/metrics": 200}),
        ({"server": {"metrics": False}}, {"/livez": 200, "/readyz": 200, "/metrics": 404}),
        ({"store": {"min_free_mb": 10**12}}, {"/livez": 200, "/readyz": 503, "/metrics": 200}),
    ],
)
async def test_what_settings_decide(tmp_path: Path, groups: dict[str, Any], answers: dict[str, int]) -> None:
    groups = {**groups, "store": {"data_dir": tmp_path, **groups.get("store", {})}}
    async with running(settings_for(tmp_path, **groups)) as ringback:
        assert {path: (await get(ringback, path))[0] for path in answers} == answers


async def test_a_process_is_not_ready_before_any_disk_that_it_writes_to_is_full(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, store={"data_dir": tmp_path, "min_free_mb": 10**12})
    async with running(settings) as ringback:
        status, text = await get(ringback, "/readyz?verbose")
        accepted, _ = await ringback.send()
    checks = {check["name"]: check["ok"] for check in json.loads(text)["checks"]}
    assert (status, checks) == (
        503,
        {"database": True, "disk: database": False, "disk: media": False, "disk: analytics": False},
    )
    assert accepted == 202, "who comes all the same is served while there is room"


async def test_a_database_that_is_held_by_a_writer_is_not_ready_though_it_can_be_read(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, store={"data_dir": tmp_path, "busy_timeout_s": 0.2})
    async with running(settings) as ringback:
        with contextlib.closing(sqlite3.connect(tmp_path / "ringback.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            status, text = await get(ringback, "/readyz")
            holder.execute("ROLLBACK")
        assert status == 503
        assert "locked" in text
        assert (await get(ringback, "/readyz"))[0] == 200


def test_the_settings_have_their_defaults() -> None:
    settings: Settings = load(file=None, environment={}, flags={})
    assert (settings.server.metrics, settings.store.min_free_mb) == (True, 200)
    assert (settings.retention.messages_days, settings.retention.received_days) == (90, 90)
