"""The port of a provider: how its callbacks are verified and read.

Behaviour of every provider:

- ``verify`` never raises, whatever a stranger sends. It compares in constant time.
- ``verify`` takes the URLs that the provider may have called, query included, one for each public name of ours.
- ``read`` gives an event only where everything is there without which nobody knows which message is meant.
- ``texts`` gives what was tried, in the order of trying, for people. It is never needed to decide.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from ringback.receiver.event import Arrived, Event

Objection = Literal["no_signature", "no_nonce", "mismatch", "incomplete", "v2_only", "v1_only", "too_old", "malformed"]


class Judgement(msgspec.Struct, frozen=True):
    """What verified a request, and what speaks against it all the same; one of the two is empty."""

    verified_by: str
    objection: Objection | Literal[""] = ""
    secret_index: int | None = None
    """Which of the secrets fits; the secret itself is not repeated."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """One text that a sender may have signed, and what each of the secrets makes of it."""

    scheme: str
    rule: str
    """Whose way of building it this is."""
    url: str
    text: str
    signatures: tuple[str, ...]
    """One for each secret, whole: whoever shows them hides most of each."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a source asks of its requests."""

    require_v3: bool = False
    tolerance_s: int = 300
    """How far a signed time may be from ours."""
    now_us: int = 0


class Provider(Protocol):
    """Somebody who calls back."""

    name: str

    def verify(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str], terms: Terms) -> Judgement:
        """Tell whether a request was signed with one of ``secrets``."""
        ...

    def read(self, request: Arrived) -> Event | None:
        """Return what a request says, ``None`` when it is no callback."""
        ...

    def offered(self, request: Arrived) -> list[tuple[str, str]]:
        """Return (header, signature) of every signature that a request carries."""
        ...

    def texts(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str]) -> Iterator[Text]:
        """Give the texts that are tried."""
        ...
