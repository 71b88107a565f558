"""Kannel as an SMSC, by OpenSMPPBox: a state of its own, and a number that says something else.

When its carrier has taken a message, it tells ``BUFFRED`` in the text with ``message_state`` 0, which SMPP 5.0 has for
scheduled: either way nothing has ended. Ids are UUIDs. ``err`` has the three characters of the carrier behind it.

Known from ``msg_to_pdu`` (``addons/opensmppbox/gw/opensmppbox.c``, which says itself that this does not quite conform).
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "states": ("BUFFRED=ENROUTE",),
}
