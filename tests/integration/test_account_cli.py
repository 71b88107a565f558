"""Accounts, credit, prices and sandbox numbers from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.process import create_account, run


def ringback(directory: Path, *arguments: str) -> Any:
    """Run a command that ends well; gives what it printed as JSON."""
    ended = run(*arguments, "--data-dir", str(directory), "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_an_operator_sells_credit_and_explains_the_balance(tmp_path: Path) -> None:
    auth_id = create_account(tmp_path)["auth_id"]
    shown = ringback(tmp_path, "account", "show", auth_id.lower())
    assert shown["billing_mode"] == "postpaid"
    changed = ringback(tmp_path, "account", "set", auth_id, "--billing", "prepaid", "--type", "developer")
    assert changed == {**shown, "billing_mode": "prepaid", "account_type": "developer"}
    assert ringback(tmp_path, "account", "credit", auth_id, "+10.00", "--note", "invoice 7")["credit"] == "10.00000"
    assert ringback(tmp_path, "account", "credit", auth_id, "-2.5")["credit"] == "7.50000"
    [listed] = ringback(tmp_path, "account", "list")
    assert listed == {**changed, "credit": "7.50000"}
    ledger = ringback(tmp_path, "account", "ledger", auth_id)
    assert ledger["credit"] == "7.50000"
    assert [(each["kind"], each["amount"], each["note"]) for each in ledger["entries"]] == [
        ("credit", "-2.50000", None),
        ("credit", "10.00000", "invoice 7"),
    ]
    for command in (("account", "list"), ("account", "ledger", auth_id), ("account", "show", auth_id)):
        assert "7.50000" in run(*command, "--data-dir", str(tmp_path), COLUMNS="200").stdout


def test_prices_are_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("country,network_group,sms_outbound\nUS,,0.0065\nUS,Small,0.01\n")
    assert ringback(tmp_path, "pricing", "import", str(table)) == {"lines": 2}
    before = ringback(tmp_path, "pricing", "list")
    assert [(each["country"], each["network_group"], each["sms_outbound"]) for each in before] == [
        ("US", "", "0.00650"),
        ("US", "Small", "0.01000"),
    ]
    table.write_text("country,sms_outbound\nDE,0.09\nFR,cheap\n")
    ended = run("pricing", "import", str(table), "--data-dir", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "line 3, column sms_outbound: 'cheap' is no price" in ended.stderr
    assert ringback(tmp_path, "pricing", "list") == before
    assert "0.01000" in run("pricing", "list", "--data-dir", str(tmp_path), COLUMNS="300").stdout


def test_sandbox_numbers_come_and_go(tmp_path: Path) -> None:
    auth_id = create_account(tmp_path)["auth_id"]
    place = ("--data-dir", str(tmp_path))
    assert run("sandbox", "add", auth_id, "+1 415-555-0123", *place).returncode == 0
    assert ringback(tmp_path, "sandbox", "list", auth_id) == ["14155550123"]
    assert run("sandbox", "remove", auth_id, "14155550123", *place).returncode == 0
    assert ringback(tmp_path, "sandbox", "list", auth_id) == []


NOBODY = "MA" + "Z" * 18


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("account", "show", NOBODY), f"there is no account {NOBODY}"),
        (("account", "set", NOBODY), "nothing to set: give one of --type, --billing"),
        (("account", "set", NOBODY, "--billing", "prepaid"), f"there is no account {NOBODY}"),
        (("account", "credit", NOBODY, "10"), f"there is no account {NOBODY}"),
        (("account", "credit", NOBODY, "ten"), "'ten' is no amount: write it like +10.00"),
        (("account", "credit", NOBODY, "0"), "'0' is no amount"),
        (("account", "credit", NOBODY, "0.000001"), "'0.000001' is no amount"),
        (("account", "ledger", NOBODY), f"there is no account {NOBODY}"),
        (("pricing", "import", "nowhere.csv"), "cannot read nowhere.csv"),
        (("sandbox", "add", NOBODY, "14155550123"), f"there is no account {NOBODY}"),
        (("sandbox", "add", NOBODY, "12"), "12 is not a valid phone number"),
        (("sandbox", "list", NOBODY), f"there is no account {NOBODY}"),
        (("sandbox", "remove", NOBODY, "14155550123"), f"14155550123 is no sandbox number of {NOBODY}"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ended = run(*arguments, "--data-dir", str(tmp_path))
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
