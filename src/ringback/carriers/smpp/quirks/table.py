"""What SMSCs are known for, by name: values for the settings of a carrier (``settings.SmppSettings``).

A module for each, which says where it is known from; what was recorded is in ``tests/data/smpp``.
"""

from collections.abc import Mapping
from typing import Any, Final

from ringback.carriers.smpp.quirks import (
    clickatell,
    eight_by_eight,
    hex_decimal,
    infobip,
    jasmin,
    kannel,
    netfors,
    openmarket,
    simulator,
    vonage,
)

QUIRKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "8x8": eight_by_eight.KNOWN,
    "clickatell": clickatell.KNOWN,
    "hex-decimal": hex_decimal.KNOWN,
    "infobip": infobip.KNOWN,
    "jasmin": jasmin.KNOWN,
    "kannel": kannel.KNOWN,
    "netfors": netfors.KNOWN,
    "openmarket": openmarket.KNOWN,
    "simulator": simulator.KNOWN,
    "vonage": vonage.KNOWN,
}
