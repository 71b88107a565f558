"""Logins as operators make and change them: checked before they are stored."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from ringback.dialect.send import LOG_MODES
from ringback.model.errors import InvalidRequest
from ringback.model.ids import NewId
from ringback.model.passwords import hashed
from ringback.store.smpp_logins import Login

SYSTEM_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
MAX_PASSWORD: Final = 8
"""As many as its field in a PDU has room for."""


def made(
    system_id: str,
    account_id: str,
    password: str,
    *,
    allow: Sequence[str] = (),
    takes_inbound: bool = False,
    log: str = "true",
    now_us: int,
    new_id: NewId,
    salt: bytes,
) -> Login:
    """Make a login. Takes some 50 ms. Raises ``InvalidRequest``."""
    if SYSTEM_ID.fullmatch(system_id) is None:
        raise InvalidRequest("a system id has up to 15 letters, digits and _.-, and begins with a letter or a digit")
    return Login(
        id=new_id(now_us),
        system_id=system_id,
        account_id=account_id,
        password_hash=kept(password, salt),
        allow=networks(allow),
        takes_inbound=takes_inbound,
        log=log_mode(log),
        created_at_us=now_us,
    )


def kept(password: str, salt: bytes) -> str:
    """Return what is kept of a password. Raises ``InvalidRequest``."""
    if not 1 <= len(password) <= MAX_PASSWORD or not password.isascii() or not password.isprintable():
        raise InvalidRequest(f"an SMPP password has from 1 to {MAX_PASSWORD} printable ASCII characters")
    return hashed(password, salt)


def networks(allow: Sequence[str]) -> str:
    """Return networks as they are stored. Raises ``InvalidRequest``."""
    try:
        return ",".join(str(ipaddress.ip_network(network.strip())) for network in allow)
    except ValueError as error:
        raise InvalidRequest(f"{error}: give an address, or a network such as 10.1.0.0/16") from error


def log_mode(log: str) -> str:
    """Return what is kept of messages. Raises ``InvalidRequest``."""
    if log not in LOG_MODES:
        raise InvalidRequest(f"log must be one of {', '.join(LOG_MODES)}")
    return log
