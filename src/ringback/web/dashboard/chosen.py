"""Which callbacks a page or a replay is about, as the address of a page says it."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from ringback.dialect.callback_urls import canonical_callback_url
from ringback.dialect.callbacks import endpoint_of
from ringback.dialect.times import callback_time, filter_time_us
from ringback.model.ids import AUTH_ID, as_uuid
from ringback.store.resends import Filter
from ringback.web.dashboard import present
from ringback.web.dashboard.viewer import Viewer

STATES: Final = ("pending", "delivered", "given_up")
TIME_HINT: Final = "2026-01-31 12:00"
_URL: Final = re.compile(r"https?://[!-~]{1,500}", re.IGNORECASE)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked for, word for word; empty texts take all."""

    account: str = ""
    state: str = ""
    endpoint: str = ""
    message: str = ""
    since: str = ""
    until: str = ""
    again: str = ""
    """Of a replay: whether it takes also what was sent once more already."""

    def query(self, **more: str) -> str:
        """Return the query string that asks for the same, ``more`` instead or besides."""
        return urlencode(self.pairs(**more))

    def pairs(self, **more: str) -> list[tuple[str, str]]:
        """Return the same as fields of a form."""
        return [(name, value) for name, value in (msgspec.structs.asdict(self) | more).items() if value]


def read_chosen(params: Mapping[str, str]) -> Chosen:
    """Read what an address or a form asks for."""
    return Chosen(**{name: params.get(name, "").strip() for name in Chosen.__struct_fields__})


def narrowed(chosen: Chosen, viewer: Viewer) -> Chosen:
    """Return what of it may be shown. Raises ``NotFound`` for an account that may not be seen."""
    return msgspec.structs.replace(chosen, account=viewer.account(chosen.account))


def understand(chosen: Chosen) -> tuple[Filter, list[str]]:
    """Return the filter, and one sentence for each part of it that cannot be understood."""
    problems: list[str] = []
    if chosen.account and not AUTH_ID.fullmatch(chosen.account):
        problems.append("The account is given by its auth id: MA or SA, and 18 capital letters or digits.")
    if chosen.state and chosen.state not in STATES:
        problems.append("The state is one of pending, delivered and given up.")
    message_uuid = as_uuid(chosen.message) if chosen.message else None
    if chosen.message and message_uuid is None:
        problems.append("The message is given by its uuid, 36 characters: its page shows it.")
    endpoint = _endpoint(chosen.endpoint) if chosen.endpoint else None
    if chosen.endpoint and endpoint is None:
        problems.append("The endpoint is a scheme, a host and perhaps a port, such as https://example.com:8443.")
    since_us, until_us = (_time_us(text) if text else None for text in (chosen.since, chosen.until))
    for name, text, at_us in (("first", chosen.since, since_us), ("last", chosen.until, until_us)):
        if text and at_us is None:
            problems.append(f"The {name} time is a date and a time in UTC, such as {TIME_HINT}.")
    if since_us is not None and until_us is not None and since_us >= until_us:
        problems.append("The first time must be before the last one.")
    wanted = Filter(
        account_id=chosen.account or None,
        message_uuid=message_uuid,
        endpoint=endpoint,
        state=chosen.state or None,
        since_us=since_us,
        until_us=until_us,
    )
    return wanted, problems


def written(at_us: int) -> str:
    """Write a time as addresses have it, to the microsecond."""
    return callback_time(at_us)


def in_words(wanted: Filter) -> str:
    """Say which callbacks a filter takes."""
    any_state = "delivered or given up" if wanted.ended else "of any state"
    parts = [present.words(wanted.state) if wanted.state else any_state]
    if wanted.account_id is not None:
        parts.append(f"of account {wanted.account_id}")
    if wanted.endpoint is not None:
        parts.append(f"to {wanted.endpoint}")
    if wanted.message_uuid is not None:
        parts.append(f"of message {wanted.message_uuid}")
    if wanted.since_us is not None:
        parts.append(f"owed since {present.utc(wanted.since_us)}")
    if wanted.until_us is not None:
        parts.append(f"owed before {present.utc(wanted.until_us)}")
    if not wanted.not_resent:
        parts.append("also those sent once more before")
    return ", ".join(parts)


def _time_us(text: str) -> int | None:
    return filter_time_us(text.upper().removesuffix("Z").replace("T", " ").strip())


def _endpoint(text: str) -> str | None:
    """Return scheme, host and port of an address, as callbacks have them."""
    if _URL.fullmatch(text) is None:
        return None
    try:
        return endpoint_of(canonical_callback_url(text)) if urlsplit(text).hostname else None
    except ValueError:
        return None
