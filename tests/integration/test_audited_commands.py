"""Every command that changes something tells the audit log, of whom and what, and never a number, text or secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.model.pricing import COLUMNS

NUMBER: Final = "14155550123"
OTHER: Final = "14155550124"
PASSWORD: Final = "s3cret!"
TEXT: Final = "hush"

CHANGES: Final = (
    ("account create", "Second", "account create", None),
    ("account set", "{account} --billing prepaid", "account set", "{account}"),
    ("account credit", f"{{account}} +10.00 --note {TEXT}", "credit add", "{account} 10.00000"),
    ("account limits", "{account} --messages-per-s 7", "limits set", "{account}"),
    ("account geo", "{account} --allow US", "geo set", "{account}"),
    ("account smpp create", f"{{account}} shop --password {PASSWORD}", "smpp create", "shop of {account}"),
    ("account smpp rotate", f"shop --password {PASSWORD}", "smpp rotate", "shop"),
    ("account smpp set", "shop --log false", "smpp set", "shop"),
    ("account smpp disconnect", "shop", "smpp disconnect", "shop"),
    ("account smpp remove", "shop", "smpp remove", "shop"),
    ("account rotate-token", "{account}", "token rotate", "{account}"),
    ("account disable", "{account}", "account disable", "{account}"),
    ("account enable", "{account}", "account enable", "{account}"),
    ("pricing import", "{files}/prices.csv", "pricing import", "1 line"),
    ("numbers add", f"{NUMBER} {OTHER}", "number add", "2 numbers"),
    ("numbers import", "{files}/numbers.csv", "number add", "1 number"),
    ("numbers remove", NUMBER, "number remove", "1 number"),
    ("sandbox add", f"{{account}} {NUMBER}", "sandbox add", "{account}"),
    ("sandbox remove", f"{{account}} {NUMBER}", "sandbox remove", "{account}"),
    ("optouts add", f"--number {NUMBER} --recipient {OTHER}", "optout add", ""),
    ("optouts remove", f"--number {NUMBER} --recipient {OTHER}", "optout remove", ""),
    ("optouts texts", f"{{account}} --optout {TEXT}", "optout texts", "{account}"),
    ("conversion retry", "--source shop", "conversion retry", "shop"),
    ("bin new", "shop", "bin create", "shop"),
    ("bin delete", "shop", "bin delete", "shop"),
    ("simulate inbound", f"--from {OTHER} --to {NUMBER} --text {TEXT} --wait 0", "message simulate", None),
)
"""A command, what it is given, and action and target that the log has of it then; run in this order."""

LOOKS: Final = frozenset(("account limits {account}", "account geo {account}", "optouts texts {account}"))
"""The same commands when they are given nothing to change."""

SEEN_ELSEWHERE: Final = frozenset((
    "callbacks resend", "callbacks replay", "callbacks cancel", "carriers set", "carriers remove", "carriers pause",
    "carriers resume", "carriers rebind", "routes set", "routes remove", "routes pause", "routes resume",
    "endpoints pause", "endpoints resume", "endpoints set", "users add", "users password", "users disable",
    "users enable", "users remove", "login-link", "operator-token", "reconcile",
))  # fmt: skip
"""They tell it too, and need more than a fresh directory."""

NOTED_IN_THEIR_OWN_HISTORY: Final = frozenset(("alerts ack", "alerts mute", "alerts unmute", "alerts resolve"))

TELL_NOTHING: Final = frozenset((
    "serve", "demo", "generate", "smsc", "listen", "trigger", "tls init", "analytics rebuild",
    # What is data, not a change of how things are: as when the API is used.
    "conversion report", "alerts test",
    "sdk-env", "sql", "tail", "audit", "account list", "account show", "account ledger", "account smpp list",
    "account smpp binds", "alerts ls", "alerts show", "pricing list", "sandbox list", "analytics status",
    "analytics export", "bin list", "bin show", "bin wait", "bin export", "bin schema", "bin explain",
    "callbacks list", "callbacks show", "callbacks replays", "carriers list", "carriers show", "conversion list",
    "routes list", "routes test", "endpoints list", "endpoints show", "numbers list", "optouts list",
    "receive explain", "receive report", "receive list", "receive gaps", "stats rate", "stats senders",
    "stats latency", "stats errors", "stats funnel", "stats heatmap", "stats conversion", "stats spend", "users ls",
))  # fmt: skip


def run(directory: Path, words: str) -> str:
    result = CliRunner().invoke(app, [*words.split(), "--data-dir", str(directory)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def told(directory: Path) -> list[tuple[str, str]]:
    lines = run(directory, "audit --json --since 1h").splitlines()
    return [(row["what"], row["target"]) for row in map(json.loads, lines)]


@pytest.fixture
def names(tmp_path: Path) -> dict[str, str]:
    """Make a directory with an account, and files to import; gives what stands in commands and targets."""
    (tmp_path / "prices.csv").write_text(",".join(COLUMNS) + "\n" + "US" + "," * (len(COLUMNS) - 1) + "\n")
    (tmp_path / "numbers.csv").write_text("number\n14155550199\n")
    account = json.loads(run(tmp_path / "data", "account create Ours --json"))["auth_id"]
    run(tmp_path / "data", f"account set {account} --type developer")
    return {"account": account, "files": str(tmp_path)}


def test_every_change_is_told_and_no_secret_is(tmp_path: Path, names: dict[str, str]) -> None:
    data = tmp_path / "data"
    before = len(told(data))
    for command, given, _, _ in CHANGES:
        run(data, f"{command} {given}".format(**names))
    found = told(data)[before:]
    assert [what for what, _ in found] == [action for _, _, action, _ in CHANGES]
    for (_, target), (_, _, _, expected) in zip(found, CHANGES, strict=True):
        assert expected is None or target == expected.format(**names)
        assert not any(secret in target for secret in (NUMBER, OTHER, PASSWORD, TEXT))


def test_a_look_is_not_told(tmp_path: Path, names: dict[str, str]) -> None:
    before = told(tmp_path / "data")
    for words in LOOKS:
        run(tmp_path / "data", words.format(**names))
    assert told(tmp_path / "data") == before


def test_of_every_command_it_is_said_whether_it_tells() -> None:
    known = {command for command, _, _, _ in CHANGES} | SEEN_ELSEWHERE | NOTED_IN_THEIR_OWN_HISTORY | TELL_NOTHING
    assert set(commands(typer.main.get_command(app))) == known


def commands(group: Any, *above: str) -> Iterator[str]:
    if not hasattr(group, "commands"):
        yield " ".join(above)
        return
    for name, command in group.commands.items():
        yield from commands(command, *above, name)
