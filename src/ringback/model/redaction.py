"""What may be shown of a message whose sender asked for less to be logged (contract section 2.1, log)."""

from collections.abc import Callable
from typing import Final

from ringback.model import numbers
from ringback.model.message import Message

HIDES_NUMBER: Final = ("false", "content_only")
"""Values of ``log`` under which nobody may learn the other party's number."""


def hidden_number(message: Message) -> str | None:
    """Return the number that may not be shown, if there is one."""
    if message.log not in HIDES_NUMBER:
        return None
    return message.src if message.direction == "inbound" else message.dst


def redactor(message: Message | None) -> Callable[[str], str]:
    """Return a function that masks the number of ``message`` in a text wherever its ``log`` hides it."""
    secret = message and hidden_number(message)
    if not secret:
        return str
    mask = numbers.masked(secret)
    return lambda text: text.replace(secret, mask)
