"""SMSCs that keep to SMPP 3.3: ids are hexadecimal in answers and parameters, and decimal in the text of receipts.

The decimal ones have ten digits, zeros before them. The same message is ``38601fa`` in ``receipted_message_id`` and
``0059113978`` in the text, so each needs a form of its own.

Known from receipts that users of three libraries recorded and put into their tests (cloudhopper-smpp,
``DeliveryReceiptTest``; python-smpplib, ``tests/test_command.py``; Jasmin, ``test_pdu_decoding.py``, one with its text
in ``message_payload``), and from smscsim, which plays it (MavoCz/smscsim, ``SmppPduUtils``, issue 4). Which SMSCs the
receipts came from, none of them says.
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {
    "submitted_ids": "hex",
    "receipted_ids": "decimal",
    "receipted_parameter_ids": "hex",
}
