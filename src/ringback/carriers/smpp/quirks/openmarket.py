"""OpenMarket: messages from phones have ``receipted_message_id`` too, so ``esm_class`` alone says what a receipt is.

The parameter holds OpenMarket's own name of the message there. In receipts the dates are called ``submitdate`` and
``donedate``, and error codes have four digits. It wants ``OMV4`` as service type.

Known from its "SMPP Global SMS" reference (openmarket.com/docs, ``v4smpp/mo-examples``, ``deliveryreceipt-examples``,
``deliveryreceiptcodes``, ``mt-response-codes``), which has PDUs as hexadecimal digits.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "receipts_by": "class",
    "service_type": "OMV4",
    # 341 and 345: no such mobile operator, none found for the destination.
    "error_codes": ("341=90", "345=50"),
}
