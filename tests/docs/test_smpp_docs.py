"""docs/smpp.md's script is one that the SMSC takes, and has every setting of it."""

import re
import tomllib

import msgspec

from ringback.carriers.smsc.script import InboundRule, ReceiptRule, Rule, Script
from tests.docs.documents import ROOT

PAGE = (ROOT / "docs" / "smpp.md").read_text()
EXAMPLE = re.search(r"<!-- script -->\n```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_script_is_one() -> None:
    assert EXAMPLE is not None
    script = msgspec.convert(tomllib.loads(EXAMPLE[1]), Script)
    assert len(script.rule) == 4


def test_the_script_shows_every_setting() -> None:
    assert EXAMPLE is not None
    fields = {field.name for kind in (Script, Rule, ReceiptRule, InboundRule) for field in msgspec.structs.fields(kind)}
    assert {name for name in fields if not re.search(rf"\b{name}\b", EXAMPLE[1])} == set()
