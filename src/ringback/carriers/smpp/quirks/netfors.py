"""Netfors: the last parameter of its receipts says that it is longer than it is, and the text may end in the middle.

``receipted_message_id`` says 0x41 bytes where five follow. Refused as malformed, such a receipt is offered for ever.

Known from a receipt in cloudhopper-smpp (``PduDecoderTest``), whose comment names the vendor and says that it was told.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "lenient_parameters": True,
    # Zeros before the number in the text, none in the parameter.
    "submitted_ids": "decimal",
    "receipted_ids": "decimal",
}
