"""Keywords: the whole message, in any case, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.dialect.keywords import intent_of

WORDS = {
    "optout": ["STOP", "STOP ALL", "STOPALL", "END", "QUIT", "CANCEL", "UNSUBSCRIBE", "UNSUB"],
    "optin": ["START", "YES", "RESUME", "UNSTOP", "GO"],
    "help": ["HELP", "INFO"],
}
EVERY = [(word, intent) for intent, words in WORDS.items() for word in words]


@pytest.mark.parametrize(("word", "intent"), EVERY)
def test_every_keyword(word: str, intent: str) -> None:
    for text in (word, word.lower(), word.title(), f" {word}\r\n", f"\u00a0{word}\t"):
        assert intent_of(text) == intent
    for text in (f"{word}!", f"please {word}", f"{word} it"):
        assert intent_of(text) == ""


@given(st.text())
def test_nothing_else_is_one(text: str) -> None:
    if " ".join(text.split()).upper() not in dict(EVERY):
        assert intent_of(text) == ""
