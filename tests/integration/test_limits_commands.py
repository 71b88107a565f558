"""``ringback account limits`` and ``ringback account geo``."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.model.errors import ConfigInvalid, NotFound


@pytest.fixture
def where(tmp_path: Path) -> tuple[str, str]:
    return ("--data-dir", str(tmp_path))


@pytest.fixture
def auth_id(where: tuple[str, str]) -> str:
    created: str = json.loads(command("create", "test", "--json", *where).stdout)["auth_id"]
    return created


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["account", *arguments], env={"COLUMNS": "200"})


def test_limits_are_set_shown_and_given_back(auth_id: str, where: tuple[str, str]) -> None:
    shown = json.loads(command("limits", auth_id, "--json", *where).stdout)
    assert shown == {
        "auth_id": auth_id, "requests_per_5_s": 0, "lists_per_minute": 0, "concurrent_requests": 0,
        "messages_per_s": 0, "mms_per_s": 0, "source_messages_per_s": 0, "source_mms_per_s": 0,
    }  # fmt: skip
    changed = command("limits", auth_id.lower(), "--messages-per-s", "5", "--mms-per-s", "0.25", "--json", *where)
    assert json.loads(changed.stdout) == {**shown, "messages_per_s": 5.0, "mms_per_s": 0.25}
    text = command("limits", auth_id, "--mms-per-s", "default", "--requests-per-5-s", "300", *where).stdout
    rows = {line.split("│")[1].strip(): line.split("│")[2:4] for line in text.splitlines() if "│" in line}
    assert [part.strip() for part in rows["messages_per_s"]] == ["5", "the account"]
    assert [part.strip() for part in rows["mms_per_s"]] == ["none", "settings"]
    assert [part.strip() for part in rows["requests_per_5_s"]] == ["300", "the account"]


def test_countries_are_set_shown_and_cleared(auth_id: str, where: tuple[str, str]) -> None:
    changed = command(
        "geo", auth_id, "--allow", "us, CA", "--block", "RU", "--threshold", "US=5000,*=100",
        "--alert-url", "HTTPS://Example.com", "--json", *where,
    )  # fmt: skip
    assert json.loads(changed.stdout) == {
        "auth_id": auth_id,
        "countries_allowed": "CA,US",
        "countries_blocked": "RU",
        "thresholds": {"US": 5000, "*": 100},
        "alert_url": "https://example.com/",
    }
    assert '{"US": 5000, "*": 100}' in command("geo", auth_id, *where).stdout
    cleared = command("geo", auth_id, "--allow", "", "--threshold", "", "--alert-url", "", "--json", *where)
    assert json.loads(cleared.stdout) == {
        "auth_id": auth_id, "countries_allowed": None, "countries_blocked": "RU", "thresholds": None,
        "alert_url": None,
    }  # fmt: skip
    installation = command("geo", "all", "--block", "KP", "--json", *where)
    assert json.loads(installation.stdout)["countries_blocked"] == "KP"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("limits", "--messages-per-s", "many"), "--messages-per-s must be a number, 0 for no limit, or default"),
        (("limits", "--lists-per-minute", "1.5"), "--lists-per-minute must be a whole number, 0 for no limit"),
        (("limits", "--mms-per-s", "10001"), "--mms-per-s must be at most 10000"),
        (("geo", "--block", "USA"), "--block names 'USA', which is no country: use two letters such as US"),
        (("geo", "--threshold", "US=x"), "--threshold must be messages an hour by country"),
        (("geo", "--alert-url", "ftp://x"), "--alert-url: url parameter ftp://x is not a valid http or https URL"),
    ],
)
def test_what_cannot_be_set_is_refused(
    auth_id: str, where: tuple[str, str], arguments: tuple[str, ...], error: str
) -> None:
    name, *flags = arguments
    refused = command(name, auth_id, *flags, *where)
    assert isinstance(refused.exception, ConfigInvalid)
    assert str(refused.exception).startswith(error)


def test_an_unknown_account_is_refused(auth_id: str, where: tuple[str, str]) -> None:
    for arguments in (("limits", "MAX"), ("geo", "MAX", "--block", "US")):
        assert isinstance(command(*arguments, *where).exception, NotFound)
