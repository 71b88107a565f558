"""8x8: the receipt's ``err`` is a code of its own, from 0 to above 50.

Known from "SMPP - Delivery receipts" and "SMS Delivery Receipt Error Codes" (developer.8x8.com).
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    # Absent, busy, not reachable, full memory and their like; content; barred or refused; routes; spam; numbers.
    "error_codes": (
        "1=80", "21=80", "29=80", "32=80", "36=80", "45=80", "46=80", "47=80",
        "2=10", "16=10", "18=10", "38=10", "17=110",
        "8=100", "26=100", "41=100", "33=90", "11=30", "34=30", "43=30",
        "13=50", "15=50", "19=40", "28=70", "37=70",
        "12=20", "14=20", "23=20", "27=20", "30=20", "35=20", "40=20", "48=20", "49=20", "51=20",
    ),
}  # fmt: skip
