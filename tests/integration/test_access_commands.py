"""The commands about users and the audit log."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ringback.cli.app import app
from ringback.model.errors import ConfigInvalid, InvalidRequest, RingbackError
from tests.fakes.people import PASSWORD


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def run(directory: Path, *words: str, given: str | None = None, **environment: str) -> Result:
    result = CliRunner().invoke(app, [*words, "--data-dir", str(directory)], input=given, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_users_are_added_changed_and_removed_and_the_audit_log_tells(directory: Path) -> None:
    made = json.loads(run(directory, "account", "create", "Ours", "--json").stdout)
    auth_id = made["auth_id"]
    run(directory, "users", "add", "Ada", "--password-env", "ADAS", ADAS=PASSWORD)
    run(directory, "users", "add", "bob", "--account", auth_id, "--password-stdin", given=PASSWORD + "\n")
    run(directory, "users", "add", "carol", "--no-password")
    listed = rows(run(directory, "users", "ls", "--json"))
    assert [(row["name"], row["kind"], row["account"], row["password"]) for row in listed] == [
        ("ada", "operator", None, True),
        ("bob", "account", auth_id, True),
        ("carol", "operator", None, False),
    ]
    assert "/dashboard/login?key=" in run(directory, "login-link", "--user", "carol").stdout
    run(directory, "users", "disable", "bob")
    with pytest.raises(InvalidRequest, match="bob is disabled"):
        run(directory, "login-link", "--user", "bob")
    run(directory, "users", "enable", "bob")
    run(directory, "users", "password", "bob", "--password-stdin", given="quite another word\n")
    run(directory, "users", "remove", "bob")
    assert "/dashboard/login?key=" in run(directory, "login-link", "--account", auth_id).stdout
    run(directory, "operator-token")
    told = rows(run(directory, "audit", "--json", "--since", "1h"))
    assert [(row["what"], row["target"]) for row in told] == [
        ("account create", auth_id),
        ("user add", "ada"),
        ("user add", f"bob of {auth_id}"),
        ("user add", "carol"),
        ("link make", "carol"),
        ("user disable", f"bob of {auth_id}"),
        ("user enable", f"bob of {auth_id}"),
        ("user password", f"bob of {auth_id}"),
        ("user remove", f"bob of {auth_id}"),
        ("link make", auth_id),
        ("token make", "operator"),
    ]
    assert {row["kind"] for row in told} == {"command"}
    assert [row["what"] for row in rows(run(directory, "audit", "--json", "--what", "link", "--limit", "1"))] == [
        "link make"
    ]
    assert "user add" in run(directory, "audit").stdout
    assert b"nobody knows" not in b"".join(path.read_bytes() for path in directory.iterdir() if path.is_file())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("users", "add", "a b"), InvalidRequest),
        (("users", "add", "ada", "--account", "MA"), InvalidRequest),
        (("users", "add", "ada", "--password-env", "NOT_THERE"), ConfigInvalid),
        (("users", "add", "ada", "--account", "MAZZZZZZZZZZZZZZZZZZ", "--no-password"), RingbackError),
        (("users", "remove", "nobody"), RingbackError),
        (("login-link", "--user", "nobody"), RingbackError),
        (("login-link", "--account", "MAZZZZZZZZZZZZZZZZZZ"), RingbackError),
        (("login-link", "--account", "MA", "--user", "ada"), InvalidRequest),
        (("audit", "--since", "yesterday"), InvalidRequest),
    ],
)
def test_what_makes_no_sense_is_refused(directory: Path, words: tuple[str, ...], error: type[RingbackError]) -> None:
    with pytest.raises(error):
        run(directory, *words)
