"""``ringback numbers``: filling the inventory, and every line that it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ringback.cli.app import app
from ringback.cli.demo_numbers import inventory
from ringback.model.errors import RingbackError


def numbers(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["numbers", *arguments, "--data-dir", str(directory)])


def listed(directory: Path, *arguments: str) -> list[dict[str, str]]:
    shown = numbers(directory, "list", "--json", *arguments)
    assert shown.exit_code == 0
    return [json.loads(line) for line in shown.stdout.splitlines()]


def added(result: Result) -> tuple[int, list[str]]:
    assert result.exit_code == 0, result.exception
    said = json.loads(result.stdout)
    return said["added"], said["already_there"]


def test_ranges_are_added_once(tmp_path: Path) -> None:
    given = ("add", "14155550100-14155550199", "--country", "us", "--type", "local", "--services", "sms,mms,voice",
             "--monthly-rate", "0.8", "--json")  # fmt: skip
    assert added(numbers(tmp_path, *given)) == (100, [])
    assert added(numbers(tmp_path, "add", "+14155550199", "14155550200", "--json")) == (1, ["14155550199"])
    shown = listed(tmp_path)
    assert len(shown) == 101
    first = shown[0]
    assert (first["number"], first["country"], first["type"], first["services"], first["monthly_rate"]) == (
        "14155550100", "US", "local", "voice,sms,mms", "0.80000",
    )  # fmt: skip
    assert (shown[-1]["services"], shown[-1]["account"], shown[-1]["carrier"]) == ("sms", None, "Ringback")
    assert [each["number"] for each in listed(tmp_path, "--prefix", "1415555020")] == ["14155550200"]
    table = numbers(tmp_path, "list", "--limit", "1")
    assert "14155550100" in table.stdout
    assert "100 more" in table.stderr
    assert numbers(tmp_path, "remove", "14155550200").exit_code == 0
    assert len(listed(tmp_path)) == 100


def test_a_file(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["account", "create", "one", "--json", "--data-dir", str(tmp_path)])
    auth_id = json.loads(made.stdout)["auth_id"]
    file = tmp_path / "numbers.csv"
    file.write_text(
        "\ufeffnumber,country,type,services,city,lata,sms_rate,account\n"
        '14155550100-14155550101,US,local,"sms,mms",San Francisco,722,0.0055,\n'
        f"55155,US,shortcode,sms,,,,{auth_id.lower()}\n"
        "447700900100,,mobile,sms voice,,,,\n"
    )
    assert added(numbers(tmp_path, "import", str(file), "--json")) == (4, [])
    assert [(each["number"], each["country"], each["type"], each["services"]) for each in listed(tmp_path)] == [
        ("14155550100", "US", "local", "sms,mms"),
        ("14155550101", "US", "local", "sms,mms"),
        ("447700900100", "GB", "mobile", "voice,sms"),
        ("55155", "US", "shortcode", "sms"),
    ]
    assert [each["number"] for each in listed(tmp_path, "--account", auth_id)] == ["55155"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("country\nUS\n", "there is no column number; there are number, country"),
        ("number,colour\n14155550100,red\n", "column colour is not known; there are number"),
        ("number\n14155550100\nnonsense\n", "line 3: nonsense is neither a number nor a range"),
        ("number\n14155550109-14155550100\n", "line 2: 14155550109-14155550100 is neither a number nor a range"),
        ("number\n10000000000-19999999999\n", "is a range of more than 100000 numbers: split it up"),
        ("number\n1415555\n", "line 2: 1415555 is not a valid phone number"),
        ("number,country\n14155550100,GB\n", "14155550100 is a number of US, not of GB"),
        ("number,country\n14155550100,XX\n", "14155550100 is a number of US, not of XX"),
        ("number,type\n14155550100,satellite\n", "satellite is no type of number"),
        ("number,type\n55155,shortcode\n", "55155 is a short code: name its country"),
        ("number,services\n14155550100,fax\n", "fax is no service; there are voice, sms, mms"),
        ("number,lata\n14155550100,x\n", "lata x is no whole number"),
        ("number,sms_rate\n14155550100,0.123456\n", "sms_rate 0.123456 is not an amount"),
        ("number,account\n14155550100,MA0\n", "there is no main account MA0"),
        ("number\n14155550100-14155650099\n14155650100-14155750099\n", "these are 200000 numbers; at most 100000"),
    ],
)
def test_a_file_that_is_wrong_adds_nothing(tmp_path: Path, lines: str, complaint: str) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text(lines)
    refused = numbers(tmp_path, "import", str(file))
    assert isinstance(refused.exception, RingbackError)
    assert complaint in str(refused.exception)
    assert listed(tmp_path) == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"number\n\xff\xfe\n")
    for name, complaint in (("binary.csv", "is not a CSV file in UTF-8"), ("none.csv", "cannot read")):
        refused = numbers(tmp_path, "import", str(tmp_path / name))
        assert complaint in str(refused.exception)


def test_removing_what_is_not_there(tmp_path: Path) -> None:
    refused = numbers(tmp_path, "remove", "14155550100")
    assert str(refused.exception) == "there is no number 14155550100: ringback numbers list shows them"


def test_the_demos_inventory_is_of_several_countries() -> None:
    made = inventory()
    assert len({number.number for number in made}) == len(made) >= 36
    assert len({number.country for number in made}) >= 5
    assert all(number.account_id is None and number.sms_enabled | number.voice_enabled for number in made)
