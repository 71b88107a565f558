"""``ringback alerts``: what there is, what somebody says about it, and a test webhook."""

import asyncio
import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.model.alerts import Alert, Kind, Scope, State
from ringback.model.errors import ConfigInvalid, NotFound
from ringback.store import alerts, callbacks
from ringback.store.port import Transaction
from ringback.store.schema import callbacks as callbacks_table
from ringback.store.sqlite import open_store
from tests.conformance.test_alerts import NOW_US, an_alert, evidence

MISSING = "00000000-0000-7000-8000-000000000009"
URL = "https://alerts.example/hook"
OPEN = an_alert(2)
OVER = an_alert(
    1,
    kind=Kind.PUMPING,
    scope=Scope(country="LV", sender="ACME"),
    state=State.RESOLVED,
    resolved_at_us=NOW_US,
    resolved_by="itself",
    worst=evidence(measure="conversion_rate", before=0.75, now=0.01, prefixes=("371",)),
)


class Prepared:
    """A data directory with an account and two alerts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        created = CliRunner().invoke(app, ["account", "create", "ops", "--json", "--data-dir", str(directory)])
        self.account: str = json.loads(created.stdout)["auth_id"]
        self.with_store(lambda tx: [alerts.save(tx, each) for each in (OPEN, OVER)])

    def with_store(self, work: Callable[[Transaction], Any]) -> Any:
        """Read or write what the commands do."""

        async def run() -> Any:
            store = open_store(self.directory, busy_timeout_s=30)
            try:
                return await store.write(work)
            finally:
                await store.close()

        return asyncio.run(run())

    def command(self, *arguments: str, **environment: str) -> Result:
        """Run a command of ``ringback alerts``."""
        env = {"COLUMNS": "200", **environment}
        return CliRunner().invoke(app, ["alerts", *arguments, "--data-dir", str(self.directory)], env=env)

    def told(self, *arguments: str, **environment: str) -> Any:
        """Run one with ``--json``, and read what it prints."""
        done = self.command(*arguments, "--json", **environment)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def stored(self) -> Alert:
        """Return the open alert as it is now."""
        found: Alert = self.with_store(lambda tx: alerts.find(tx, OPEN.id))
        return found

    def owed(self) -> list[str]:
        """Return the events of which a callback is owed."""
        waiting = self.with_store(lambda tx: tx.execute(callbacks_table.select()).all())
        return [json.loads(json.loads(row.params)[0][1])["event"] for row in waiting]

    def sending(self) -> dict[str, str]:
        """Return settings that say where alerts go."""
        return {"RINGBACK_ALERTS__URL": URL, "RINGBACK_ALERTS__ACCOUNT": self.account}


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ((), [OPEN.id, OVER.id]),
        (("--state", "open"), [OPEN.id]),
        (("--state", "resolved"), [OVER.id]),
        (("--kind", "pumping"), [OVER.id]),
        (("--kind", "pumping", "--state", "open"), []),
    ],
)
def test_alerts_are_listed_newest_first(prepared: Prepared, asked: tuple[str, ...], ids: list[str]) -> None:
    listed = prepared.command("ls", *asked, "--json").stdout.splitlines()
    assert [json.loads(line)["alert_id"] for line in listed] == ids


def test_the_list_in_words(prepared: Prepared) -> None:
    lines = [line for line in prepared.command("ls").stdout.splitlines() if "0000-7000" in line]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert [row[:6] + row[7:] for row in rows] == [
        [OPEN.id, "delivery_drop", "IN", "95.0 %", "60.0 %", "1,000", "open"],
        [OVER.id, "pumping", "LV, sender ACME", "75.0 %", "1.0 %", "1,000", "resolved"],
    ]
    prepared.told("mute", OPEN.id)
    assert "muted" in prepared.command("ls", "--state", "open").stdout


def test_one_alert_is_shown_with_its_history(prepared: Prepared) -> None:
    prepared.told("ack", OPEN.id, "--note", "asked the carrier")
    shown = prepared.told("show", OPEN.id)
    assert (shown["alert_id"], shown["country"], shown["note"]) == (OPEN.id, "IN", "asked the carrier")
    assert [(each["what"], each["by"], each["detail"]) for each in shown["history"]] == [
        ("acknowledged", getpass.getuser(), "asked the carrier")
    ]
    words = prepared.command("show", OPEN.id).stdout
    assert "IN: fewer messages are delivered, 95.0 % before, 60.0 % now, mostly error 30\n" in words
    assert "By chance: less than 1 in a billion.\n" in words


def test_an_alert_is_acknowledged_muted_unmuted_and_resolved(prepared: Prepared) -> None:
    me = getpass.getuser()
    acknowledged = prepared.told("ack", OPEN.id, "--note", "mine")
    assert (acknowledged["acknowledged_by"], acknowledged["note"]) == (me, "mine")

    assert prepared.told("mute", OPEN.id, "--hours", "2")["muted_until"] is not None
    muted = prepared.stored()
    assert muted.acknowledged_at_us is not None
    assert muted.muted_until_us is not None
    assert 0 <= muted.muted_until_us - muted.acknowledged_at_us - 2 * 3_600_000_000 < 120_000_000

    assert prepared.told("unmute", OPEN.id)["muted_until"] is None
    over = prepared.told("resolve", OPEN.id, "--note", "they have it", **prepared.sending())
    assert (over["state"], over["resolved_by"]) == ("resolved", me)
    assert prepared.told("resolve", OPEN.id, **prepared.sending()) == over
    assert [each["what"] for each in prepared.told("show", OPEN.id)["history"]] == [
        "acknowledged", "muted", "unmuted", "resolved",
    ]  # fmt: skip
    # Of its end is told once.
    assert prepared.owed() == ["resolved"]


def test_of_what_is_muted_no_end_is_told(prepared: Prepared) -> None:
    prepared.told("mute", OPEN.id)
    prepared.told("resolve", OPEN.id, **prepared.sending())
    assert prepared.owed() == []


@pytest.mark.parametrize("name", ["ack", "mute", "unmute", "resolve"])
def test_what_was_done_is_said_in_a_line(prepared: Prepared, name: str) -> None:
    said = prepared.command(name, OPEN.id).stdout
    assert said == "IN: fewer messages are delivered, 95.0 % before, 60.0 % now, mostly error 30\n"


def test_a_test_is_owed(prepared: Prepared) -> None:
    told = prepared.told("test", **prepared.sending())
    assert told["url"] == URL
    (owed,) = prepared.with_store(lambda tx: tx.execute(callbacks_table.select()).all())
    assert (owed.id, owed.account_id) == (told["callback_id"], prepared.account)
    assert prepared.owed() == ["test"]
    assert prepared.command("test", **prepared.sending()).stdout.startswith(f"owed to {URL} as callback ")


def test_without_an_address_no_test_is_owed(prepared: Prepared) -> None:
    refused = prepared.command("test")
    assert isinstance(refused.exception, ConfigInvalid)
    assert str(refused.exception).startswith("settings: set alerts.url and alerts.account")
    assert prepared.with_store(callbacks.waiting) == 0


@pytest.mark.parametrize("name", ["show", "ack", "mute", "unmute", "resolve"])
def test_an_alert_that_is_not_there(prepared: Prepared, name: str) -> None:
    refused = prepared.command(name, MISSING)
    assert isinstance(refused.exception, NotFound)
    assert str(refused.exception) == f"there is no alert {MISSING}"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (("ls", "--state", "closed"), "--state must be one of open, resolved"),
        (("ls", "--kind", "drop"), "--kind must be one of delivery_drop, error_spike, no_receipt_spike, "),
    ],
)
def test_words_that_are_none(prepared: Prepared, asked: tuple[str, ...], error: str) -> None:
    refused = prepared.command(*asked)
    assert isinstance(refused.exception, ConfigInvalid)
    assert str(refused.exception).startswith(error)


@pytest.mark.parametrize("hours", ["0", "8761", "soon"])
def test_hours_that_are_none(prepared: Prepared, hours: str) -> None:
    assert prepared.command("mute", OPEN.id, "--hours", hours).exit_code == 2
    assert prepared.stored().muted_until_us is None
