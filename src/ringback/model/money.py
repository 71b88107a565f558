"""Sums of money: whole numbers of a hundred-thousandth of the currency's unit, so that no addition ever rounds.

Everybody who reads or writes one as text does it here: five decimals, as rates have them on the wire.
"""

import re
from typing import Final

UNITS: Final = 100_000
"""How many make one of the currency."""

_AMOUNT: Final = re.compile(r"([+-]?)(\d{1,9})(?:\.(\d{1,5}))?", re.ASCII)


def parse(text: str) -> int | None:
    """Read ``12``, ``12.5`` or ``-0.00001``; ``None`` when it is no sum, or has more than five decimals."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found.groups()
    amount = int(whole) * UNITS + int((fraction or "").ljust(5, "0"))
    return -amount if sign == "-" else amount


def of_rate(rate: str) -> int:
    """Return a rate that was stored. Raises ``ValueError`` for what is none."""
    amount = parse(rate)
    if amount is None:
        raise ValueError(f"{rate!r} is no rate")
    return amount


def shown(amount: int) -> str:
    """Write a sum with five decimals: ``-0.00550``."""
    whole, fraction = divmod(abs(amount), UNITS)
    return f"{'-' if amount < 0 else ''}{whole}.{fraction:05d}"
