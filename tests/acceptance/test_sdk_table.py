"""The table of SDK methods is the expected one: a method that begins or ceases to work is seen."""

import json
from pathlib import Path

import plivo
import pytest

from tests.acceptance import sdk_calls
from tests.acceptance.sdk_table import EXPECTED, shown, steady, table


# The SDK leaves the files open that it uploads.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
async def test_the_table_is_as_expected(tmp_path: Path) -> None:
    found = await table(tmp_path)
    expected = json.loads(EXPECTED.read_text())
    assert found == expected, "look at it, then renew it: python -m tests.acceptance.sdk_table --write"


def test_every_method_of_the_python_sdk_has_a_call() -> None:
    with plivo.RestClient("MA" + "X" * 18, "token", timeout=60) as client:
        assert set(sdk_calls.offered(client)) - set(sdk_calls.CALLS) == set()


def test_what_varies_is_left_out() -> None:
    text = "no account MAXXXXXXXXXXXXXXXXXX\n at 127.0.0.1:8080 db3ce55a-7f1d-11e1-8ea7-1231380bc196 404 15005550100"
    assert steady(text) == "no account … at … … 404 …"


def test_it_is_printed_with_what_differs_line_by_line() -> None:
    lines = list(shown({"python": {"a.get": "works", "b.list": "NotFound: no"}}))
    assert lines == ["python: 1 of 2 work", "  work: a.get", "  b.list  NotFound: no"]
