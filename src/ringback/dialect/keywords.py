"""Words with which people opt out, opt in and ask for help (contract section 2.10)."""

from typing import Final

OPT_OUT: Final = "optout"
OPT_IN: Final = "optin"
HELP: Final = "help"
INTENTS: Final = (OPT_OUT, OPT_IN, HELP)

_WORDS: Final[dict[str, str]] = {
    **dict.fromkeys(("stop", "stop all", "stopall", "end", "quit", "cancel", "unsubscribe", "unsub"), OPT_OUT),
    **dict.fromkeys(("start", "yes", "resume", "unstop", "go"), OPT_IN),
    **dict.fromkeys(("help", "info"), HELP),
}
_LONGEST: Final = 64


def intent_of(text: str) -> str:
    """Return what a message asks for, ``""`` when it is no keyword.

    A keyword is the whole message, in any case, spaces around it and between its words aside.
    """
    if len(text) > _LONGEST:
        return ""
    return _WORDS.get(" ".join(text.split()).casefold(), "")
