"""The demo's inventory: numbers to search and to rent, of ranges that are kept for examples where there are such."""

from typing import Final

from ringback.cli.numbers import entries
from ringback.model.inventory import Number

_RANGES: Final = (
    ("14155550100-14155550107", "US", "local", "voice,sms,mms", "California", "San Francisco", "0.80"),
    ("12125550100-12125550105", "US", "local", "voice,sms,mms", "New York", "New York", "0.80"),
    ("18005550100-18005550105", "US", "tollfree", "voice,sms,mms", "", "", "1.00"),
    ("16045550100-16045550105", "CA", "local", "voice,sms,mms", "British Columbia", "Vancouver", "0.80"),
    ("447700900100-447700900105", "GB", "mobile", "sms", "", "", "1.50"),
    ("442079460100-442079460103", "GB", "local", "voice", "England", "London", "0.90"),
    ("4930230001-4930230004", "DE", "local", "voice", "Berlin", "Berlin", "1.10"),
    ("491515550100-491515550105", "DE", "mobile", "sms", "", "", "2.00"),
    ("33639980100-33639980105", "FR", "mobile", "sms", "", "", "1.80"),
    ("61491570156-61491570159", "AU", "mobile", "sms,mms", "", "", "3.00"),
)


def inventory() -> list[Number]:
    """Return the demo's numbers, all of them for rent."""
    names = ("number", "country", "type", "services", "region", "city", "monthly_rate")
    return [number for row in _RANGES for number, _ in entries(dict(zip(names, row, strict=True)))]
