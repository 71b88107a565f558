"""Jasmin as an SMSC: its receipts have neither ``sub`` nor ``dlvrd`` nor ``text``, and may come as ``data_sm``.

Ids are UUIDs, alike in answers, texts and parameters. ``ACCEPTD`` says that Jasmin's own carrier took the message, and
is no end. In ``err`` is whatever that carrier wrote, so that its codes mean nothing by themselves.

Receipts are read so without being told; what is recorded keeps it that way.

Known from ``SMPPOperationFactory.getReceipt`` (jookies/jasmin, ``jasmin/protocols/smpp/operations.py``).
"""

from collections.abc import Mapping
from typing import Any, Final

KNOWN: Final[Mapping[str, Any]] = {}
