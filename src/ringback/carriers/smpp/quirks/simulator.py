"""Ringback's own SMSC where it plays the simulated carrier: its codes are those of callbacks.

It refuses with a vendor's status, 0x400 and the code, and writes the code as ``err`` in receipts
(``carriers/smsc/fates.py``).
"""

from collections.abc import Mapping
from typing import Any, Final

_CODES: Final = ("10", "20", "30", "40", "50", "60", "70", "80", "90", "100", "110", "1000")
VENDOR: Final = 0x400
NETWORK: Final = 0x1403
"""Tag of the parameter in answers with MCC and MNC of the destination."""

KNOWN: Final[Mapping[str, Any]] = {
    "network_parameter": NETWORK,
    "error_codes": tuple(f"{code}={code}" for code in _CODES),
    "status_codes": tuple(f"{VENDOR + int(code):#x}={code}" for code in _CODES if int(code) < 0x100),
}
