"""Clickatell: the reason why a message was not delivered is a code of its own in ``network_error_code``.

The parameter comes only with receipts that say so; its type of network is always 3, whatever the code is about.

Known from its SMPP reference, "Standard optional parameters (TLVs)" (docs.clickatell.com), which has the codes.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    # 2 unknown subscriber, 3 no such service, 4 and 5 equipment and network, 6 rejected, 8 expired, 9 network,
    # 10 and 11 ported and roaming, 12 barred, 13 memory, 14 to 16 spam, 17 loop, 18 URL, 19 to 21 volume, 22 fraud.
    "error_codes": (
        "2=50", "3=70", "4=20", "5=20", "6=100", "8=80", "9=20", "10=20", "11=20", "12=100", "13=80", "14=30", "15=30",
        "16=30", "17=60", "18=30", "19=100", "20=100", "21=100", "22=30",
    ),
}  # fmt: skip
