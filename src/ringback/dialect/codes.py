"""Error codes in words (contract section 3.2)."""

from typing import Final

NONE: Final = "000"
"""The code of a message that was delivered."""

MEANINGS: Final[dict[str, str]] = {
    NONE: "no error",
    "10": "invalid message",
    "20": "network error",
    "30": "filtered as spam",
    "40": "invalid source number",
    "50": "invalid destination number",
    "60": "loop detected",
    "70": "destination permanently unavailable",
    "80": "destination temporarily unavailable",
    "90": "no route available",
    "100": "prohibited by carrier",
    "110": "message too long",
    "120": "MMS payload too large",
    "200": "blocked: recipient has opted out",
    "380": "outside the session window",
    "420": "expired in the queue",
    "450": "destination country disabled",
    "451": "blocked by a country threshold",
    "900": "insufficient credit",
    "1000": "unknown error",
}


def meaning(code: str) -> str:
    """Say what an error code means; one that the contract does not list is ``"code not documented"``."""
    return MEANINGS.get(code, "code not documented")
