"""Vonage, which was Nexmo: ids are hexadecimal in answers and decimal in receipts, which are texts without parameters.

Known from its help page "What is Nexmo's SMPP DLR format" (help.nexmo.com, article 204015663), which also has the error
codes. ``err`` counts where the state is neither ``DELIVRD`` nor ``ACCEPTD``.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "submitted_ids": "hex",
    "receipted_ids": "decimal",
    # Absent for now, absent for good, barred, ported, spam, busy, network, illegal number, content, no route.
    "error_codes": ("2=80", "3=70", "4=100", "5=20", "6=30", "7=80", "8=20", "9=50", "10=10", "11=90"),
}
