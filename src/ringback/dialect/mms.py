"""The fields of a send request that only MMS have (contract section 2.1)."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ringback.dialect.media import MAX_FILES
from ringback.model.errors import InvalidRequest
from ringback.model.ids import as_uuid

MAX_URL_LENGTH: Final = 2_048
_BARE_URL: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


class MediaFields(msgspec.Struct, frozen=True):
    """What a message is to carry, in this order."""

    urls: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


def parse_media(fields: Mapping[str, Any]) -> MediaFields:
    """Read ``media_urls`` and ``media_ids``. Raises ``InvalidRequest``."""
    urls = _texts(fields, "media_urls")
    ids = tuple(dict.fromkeys(_texts(fields, "media_ids")))
    if len(urls) + len(ids) > MAX_FILES:
        raise InvalidRequest(
            f"a message has at most {MAX_FILES} media; media_urls and media_ids name {len(urls) + len(ids)}"
        )
    for url in urls:
        _check(url)
    known = tuple(uuid for each in ids if (uuid := as_uuid(each)))
    if len(known) < len(ids):
        raise InvalidRequest("media_ids parameter names media that you have not uploaded, or that have expired")
    return MediaFields(urls, known)


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = fields.get(name)
    if given is None or given in ("", []):
        return ()
    if isinstance(given, str) and given.startswith("["):
        # A form has no lists.
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"{name} parameter must be a list of strings") from error
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise InvalidRequest(f"{name} parameter must be a list of strings")
    return tuple(listed)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or len(url) > MAX_URL_LENGTH or _BARE_URL.fullmatch(url) is None:
        raise InvalidRequest(
            f"media_urls parameter must have http or https URLs of at most {MAX_URL_LENGTH} ASCII characters"
        )
