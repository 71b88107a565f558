"""Infobip: refuses with statuses that SMPP has for other things or reserves.

``0x22``: the network is not covered. ``0xFF``: the account has no money left, which is about the account and not about
the message, so another route may take it. ``0x4A1``: trouble in the system or a disabled channel.

Known from "SMPP Command Status & GSM Error Codes" (dev.infobip.com). An answer with status 34 is recorded in Jasmin's
tests (``test_pdu_decoding.py``, issue 563) by somebody who does not say whose it is.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "status_codes": ("0x22=90", "0xff=1000"),
    "trouble_statuses": ("0x4a1",),
}
