"""The page of the SDKs and ``ringback sdk-env`` say the same."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.cli.snippets import COMMENT, DEFAULT_URL, Language, snippet
from ringback.model.errors import ConfigInvalid
from tests.docs.documents import marked
from tests.fakes.process import create_account, run


def invoke(*arguments: str, **environment: str) -> Result:
    """Run the command in this process: there are many runs."""
    return CliRunner().invoke(app, ["sdk-env", *arguments], env=environment)


def output(*arguments: str, **environment: str) -> str:
    """Give what the command prints when nothing is wrong."""
    ended = invoke(*arguments, **environment)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("language", Language)
def test_the_page_shows_what_is_printed(language: Language) -> None:
    shown = marked(f"sdk: {language}").text
    assert shown == snippet(language, DEFAULT_URL)
    assert output("--language", language) == shown


@pytest.mark.parametrize("language", Language)
def test_every_language_has_an_example_with_a_callback_url(language: Language) -> None:
    example = marked(f"send: {language}").text
    for part in ("15005550100", "15005550001", "Hello", "https://example.com/status"):
        assert part in example


def test_without_a_language_all_are_printed() -> None:
    printed = output()
    for language in Language:
        assert snippet(language, DEFAULT_URL) in printed
        assert f"{COMMENT[language] or '# '}{language}\n" in printed


def test_the_base_url_comes_from_flag_or_settings() -> None:
    for flags, url in (
        (["--url", "https://sms.example.com/"], "https://sms.example.com"),
        (["--host", "::1", "--port", "9000"], "http://[::1]:9000"),
    ):
        for language in Language:
            printed = output("--language", language, *flags)
            assert printed == snippet(language, url)
            assert DEFAULT_URL not in printed
    by_setting = output("--language", "curl", RINGBACK_SERVER__PUBLIC_BASE_URL="https://sms.example.com")
    assert by_setting == snippet(Language.CURL, "https://sms.example.com")


@pytest.mark.parametrize(
    "url", ["sms.example.com", 'http://x"; rm', "http://x/path", "ftp://x", "http://u:p@x", "http://x:y"]
)
def test_what_is_no_base_url_gets_into_no_program(url: str) -> None:
    ended = invoke("--url", url)
    assert ended.stdout == ""
    assert isinstance(ended.exception, ConfigInvalid)
    assert "is no base URL" in str(ended.exception)


def test_a_token_is_printed_only_on_demand(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    place = ["--data-dir", str(tmp_path)]
    assert account["auth_token"] not in output(*place)
    for language in Language:
        printed = output("--language", language, "--auth-id", account["auth_id"].lower(), *place)
        first, _, rest = printed.partition("\n")
        variables = f"export PLIVO_AUTH_ID={account['auth_id']} PLIVO_AUTH_TOKEN="
        assert first.startswith(COMMENT[language] + variables)
        assert account["auth_token"] in first
        assert rest == snippet(language, DEFAULT_URL)
    unknown = run("sdk-env", "--auth-id", "MA" + "X" * 18, *place)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no account" in unknown.stderr


def test_a_port_that_nobody_knows_is_told() -> None:
    assert "0 names none" in str(invoke("--port", "0").exception)
