"""``ringback stats`` against a file that nobody has open, and against a process that has it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ringback.analytics.door import open_door
from ringback.analytics.duck import DuckEngine
from ringback.cli.app import app
from ringback.settings_analytics import AnalyticsSettings
from tests.fakes.analytics import filled, row

COMMANDS = ("rate", "latency", "errors", "funnel", "senders", "heatmap", "conversion", "spend")
AN_HOUR_AGO = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
MESSAGES = [
    row(1, queued_at=AN_HOUR_AGO, trackable=True, conversion="CONVERTED"),
    row(2, queued_at=AN_HOUR_AGO, trackable=True),
    row(3, queued_at=AN_HOUR_AGO, status="undelivered", error_code="30", country="IN", carrier="404-20", network="Vi"),
]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    async def fill() -> None:
        async with DuckEngine(tmp_path / "analytics", AnalyticsSettings()) as engine:
            await filled(engine, MESSAGES)

    asyncio.run(fill())
    return tmp_path


def stats(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["stats", *arguments, "--data-dir", str(data_dir)], catch_exceptions=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_it_shows_charts_within_80_columns_and_notes_apart(data_dir: Path, command: str) -> None:
    result = stats(data_dir, command)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "\x1b" not in result.stdout
    assert result.stderr.startswith("queued from")


@pytest.mark.parametrize("command", COMMANDS)
def test_json_and_csv_are_all_there_is_on_standard_output(data_dir: Path, command: str) -> None:
    answer = json.loads(stats(data_dir, command, "--json").stdout)
    assert {"since", "until"} < set(answer)
    header, *rows = stats(data_dir, command, "--csv").stdout.splitlines()
    assert rows
    assert all(len(line.split(",")) == len(header.split(",")) for line in rows)


def test_no_cell_of_csv_is_a_formula(tmp_path: Path) -> None:
    async def fill() -> None:
        async with DuckEngine(tmp_path / "analytics", AnalyticsSettings()) as engine:
            await filled(engine, [row(1, queued_at=AN_HOUR_AGO, src="=HYPERLINK(1)")])

    asyncio.run(fill())
    assert stats(tmp_path, "senders", "--csv").stdout.splitlines()[1].startswith("'=HYPERLINK(1),")


def test_filters_narrow(data_dir: Path) -> None:
    totals = json.loads(stats(data_dir, "rate", "--json", "--where", "country=IN", "--where", "carrier=404-20").stdout)
    assert totals["totals"]["accepted"] == 1
    assert totals["breakdown"]["groups"][0]["name"] == "India"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rate", "--fail-below", "90%"), 3),
        (("rate", "--fail-below", "60%"), 0),
        (("rate", "--fail-below", "90%", "--where", "country=DE"), 0),
        (("conversion", "--fail-below", "51%"), 3),
        (("latency", "--fail-above", "2s"), 3),
        (("latency", "--fail-above", "2400ms"), 0),
        (("errors", "--fail-above", "0"), 3),
        (("spend", "--fail-above", "0.01649"), 3),
        (("spend", "--fail-above", "0.01650"), 0),
    ],
)
def test_it_can_fail_in_a_script(data_dir: Path, arguments: tuple[str, ...], code: int) -> None:
    assert stats(data_dir, *arguments).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rate", "--fail-below", "high"), "--fail-below must be a rate"),
        (("rate", "--where", "country"), "--where must be a field and its value"),
        (("rate", "--where", "colour=red"), "colour is no filter"),
        (("rate", "--since", "yesterday"), "since must be so long ago"),
        (("latency", "--measure", "speed"), "measure must be one of"),
        (("rate", "--json", "--csv"), "give either --json or --csv"),
    ],
)
def test_what_is_wrong_is_told(data_dir: Path, arguments: tuple[str, ...], says: str) -> None:
    assert says in str(stats(data_dir, *arguments).exception)


def test_without_analytics_it_says_how_to_get_some(tmp_path: Path) -> None:
    assert "run ringback serve" in str(stats(tmp_path, "rate").exception)


async def test_it_asks_the_process_that_has_the_file(tmp_path: Path) -> None:
    directory = tmp_path / "analytics"
    async with DuckEngine(directory, AnalyticsSettings()) as engine, open_door(engine, directory):
        await filled(engine, MESSAGES)
        result = await asyncio.to_thread(stats, tmp_path, "rate", "--json")
    assert json.loads(result.stdout)["totals"]["accepted"] == 3
