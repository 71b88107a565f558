"""docs/simulator.md says what the script does: its tables and its example are checked against the code."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from ringback import settings
from ringback.carriers.simulator import rules
from ringback.carriers.simulator.fate import decide
from ringback.carriers.simulator.rules import NoAnswer, Reject, Rule
from ringback.carriers.simulator.script import BUILT_IN, MAGIC, Script, parse_script
from ringback.model import numbers
from ringback.model.errors import ConfigInvalid
from ringback.model.status import Status, judge

DOCS = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
EXPIRED = "420"


def example() -> str:
    found = re.search(r"<!-- example -->\n```toml\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    return found[1]


def last_state(rule: Rule, ref: str) -> tuple[Status, str]:
    """The status in which a message ends, and its code, by the table of statuses."""
    fate = decide(1, ref, rule)
    if isinstance(fate.answer, Reject):
        return Status.FAILED, fate.answer.code
    if isinstance(fate.answer, NoAnswer) and fate.answer.times is None:
        return Status.FAILED, EXPIRED
    status, code = Status.SENT, ""
    for said in fate.receipts:
        if judge(status, said.status) == "":
            status, code = said.status, said.error_code
    return status, code


def magic_rows() -> list[str]:
    rows = []
    for rule in MAGIC:
        (number,) = rule.prefixes
        states = {last_state(rule, f"ref {at}") for at in range(20)}
        ((status, code),) = states
        shown = f" `{code}` " if code else " "
        rows.append(f"| `{number}` | {rule.name} | `{status}` |{shown}|")
    return sorted(rows)


def test_the_magic_numbers_are_those_of_the_script() -> None:
    documented = [line for line in DOCS.splitlines() if line.startswith("| `1500555")]
    assert "\n".join(documented) == "\n".join(magic_rows())


@pytest.mark.parametrize("rule", MAGIC, ids=lambda rule: rule.prefixes[0])
def test_magic_numbers_can_be_sent_to_and_reach_their_rule(rule: Rule) -> None:
    (number,) = rule.prefixes
    assert re.fullmatch(r"150055500\d\d", number)
    assert numbers.destination(number) == number
    assert BUILT_IN.rule_for(number) is rule


def test_every_ending_that_a_developer_needs_has_a_number() -> None:
    states = {last_state(rule, "any") for rule in MAGIC}
    codes = ("10", "20", "30", "40", "50", "60", "70", "80", "90", "100", "110", "1000")
    assert {(Status.UNDELIVERED, code) for code in codes} <= states
    assert {(Status.DELIVERED, "000"), (Status.SENT, ""), (Status.FAILED, "90")} <= states


def test_the_settings_shown_are_settings(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(\[simulator\]\n.*?)```", DOCS, re.DOTALL)
    assert shown is not None
    file = tmp_path / "ringback.toml"
    file.write_text(shown[1])
    assert settings.load(file=file, environment={}, flags={}).simulator.speed == 10


@pytest.fixture(scope="module")
def script() -> Script:
    return parse_script(tomllib.loads(example()))


@pytest.mark.parametrize(
    ("dst", "name"),
    [
        ("4930123456", "Germany: a good day"),
        ("4915112345", "one German network in trouble"),
        ("33612345678", "everybody else"),
        ("15005550030", "undelivered: filtered as spam"),
    ],
)
def test_the_example_does_what_the_page_says(script: Script, dst: str, name: str) -> None:
    assert script.rule_for(dst).name == name


def test_a_mistake_in_the_example_would_be_told_by_rule_and_field() -> None:
    with pytest.raises(ConfigInvalid, match=r"rule 2 \('one German network in trouble'\).*endings\[2\]\.later\[1\]"):
        parse_script(tomllib.loads(example().replace("after_s = 60", 'after_s = "soon"')))


@pytest.mark.parametrize(
    ("kinds", "columns"),
    [(rules.Answer, "kind"), (rules.Ending, "result"), (rules.Law, "law")],
)
def test_every_kind_is_listed_with_all_its_fields(kinds: object, columns: str) -> None:
    for kind in get_args(kinds):
        config = kind.__struct_config__
        assert config.tag_field == columns
        row = re.search(rf"^\| `{config.tag}` \| ([^|]*) \|", DOCS, re.MULTILINE)
        assert row is not None, config.tag
        assert set(re.findall(r"`(\w+)`", row[1])) == {field.name for field in msgspec.structs.fields(kind)}


def test_every_field_of_a_rule_is_listed() -> None:
    for field in msgspec.structs.fields(Rule):
        row = re.search(rf"^\| `{field.name}` \| [^|]+ \| ([^|]+) \|$", DOCS, re.MULTILINE)
        assert row is not None, field.name
        assert (row[1] == "required") == field.required


def test_the_healthy_carrier_is_as_described() -> None:
    first, *undelivered, last = rules.HEALTHY_ENDINGS
    assert first == rules.Delivered(weight=94)
    assert last == rules.NoReceipt(weight=2)
    assert sum(ending.weight for ending in undelivered) == pytest.approx(4)
    codes = [ending.code for ending in undelivered if isinstance(ending, rules.Undelivered)]
    assert f"codes {', '.join(codes[:-1])} or {codes[-1]}," in DOCS.replace("\n", " ")
    assert (rules.HEALTHY_RECEIPT_DELAY.median_s, rules.HEALTHY_RECEIPT_DELAY.max_s) == (0.8, 6.0)
