"""A callback as it arrived, and what it says, in terms that hold for every provider."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Literal, TypeVar, overload
from urllib.parse import unquote, urlsplit

import msgspec

from ringback.model.vocabulary import RANK, Why, Word

Pairs = Sequence[tuple[str, str]]
Kind = Literal["status", "inbound", "any", "record"]
"""What an address is for; ``any`` leaves it to the request. A ``record`` came to none: it is of the provider's list."""

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"

MAX_FIELDS: Final = 200
"""A callback has about twenty parameters; a body with more than this is not one."""


T = TypeVar("T")


class _Once(Generic[T]):
    """An attribute that is worked out when it is first asked for.

    ``functools.cached_property`` takes a lock for it until Python 3.12, at a price that each callback would pay.
    """

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work = work
        self.__doc__ = work.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "_Once[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "_Once[T] | T":
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._work(instance)
        return value


class Arrived:
    """A request as it came. Everything derived from it is worked out once, when somebody asks."""

    def __init__(
        self, *, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, kind: Kind = "any"
    ) -> None:
        self.method = method
        self.target = target
        """Path and query string as on the request line."""
        self.pairs = headers
        """Headers in the order in which they came."""
        self.body = body
        self.kind = kind

    @_Once
    def headers(self) -> Mapping[str, str]:
        """Headers by name in small letters; values of a repeated one are joined (RFC 9110 section 5.2)."""
        found: dict[str, str] = {}
        for name, value in self.pairs:
            key = name.lower()
            found[key] = f"{found[key]},{value}" if key in found else value
        return found

    @_Once
    def content_type(self) -> str:
        """The media type of the body, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @_Once
    def params(self) -> Pairs | None:
        """Decoded parameters: of the query on GET, else of a form; ``None`` when there are none that can be read."""
        try:
            if self.method == "GET":
                return read_pairs(urlsplit(self.target).query)
            return read_pairs(self.body.decode()) if self.content_type == FORM else None
        except ValueError:
            return None

    def altered(
        self,
        *,
        method: str | None = None,
        target: str | None = None,
        headers: Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> "Arrived":
        """Return this request as it may have been before something on the way changed it."""
        return Arrived(
            method=self.method if method is None else method,
            target=self.target if target is None else target,
            headers=self.pairs if headers is None else headers,
            body=self.body if body is None else body,
            kind=self.kind,
        )


def read_pairs(text: str) -> Pairs:
    """Decode a query or a form; blank values stay. Raises ``ValueError`` for too many, or text that is not UTF-8."""
    # As parse_qsl does it, without looking for escapes where there are none: every callback goes through here.
    if text.count("&") >= MAX_FIELDS:
        raise ValueError(f"more than {MAX_FIELDS} parameters")
    parts = [part.partition("=") for part in text.replace("+", " ").split("&") if part]
    if "%" not in text:
        return [(name, value) for name, _, value in parts]
    return [
        (unquote(name, errors="strict"), unquote(value, errors="strict"))
        if "%" in name or "%" in value
        else (name, value)
        for name, _, value in parts
    ]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified callback says: our word and theirs; what a provider leaves out is ``None``."""

    kind: Literal["status", "inbound"]
    message_id: str
    status: Word
    their_status: str
    """The provider's own word, in small letters."""
    from_number: str
    to_number: str
    sequence: int | None = None
    type: str | None = None
    """``sms``, ``mms`` or ``whatsapp``."""
    error_code: str | None = None
    why: Why | None = None
    mcc: str | None = None
    mnc: str | None = None
    units: int | None = None
    total_amount: str | None = None
    """Decimal text in the account's currency."""
    text: str | None = None
    media_urls: tuple[str, ...] = ()
    intent: str | None = None
    """``optout``, ``optin`` or ``help`` of an inbound message."""
    happened_at: str | None = None
    """The provider's own time of this status, as written."""
    raw: tuple[tuple[str, str], ...] = ()
    """Every parameter as it came."""

    @property
    def rank(self) -> int:
        """How far along the message is; a lower rank than one already seen is old news."""
        return RANK[self.status]


def whole_number(text: str | None) -> int | None:
    """Read a count. Longer ones are none, and would not fit the database."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else None
