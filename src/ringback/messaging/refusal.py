"""Why a message fails without having been handed over."""

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """What a check of ``messaging.screen`` says of a message."""

    error_code: str
    detail: str
