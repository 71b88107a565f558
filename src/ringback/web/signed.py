"""Captures read as callbacks: what they say, and which of the known tokens has signed them.

Bins know nothing of callbacks, and the receiver nothing of bins; whoever shows both to people reads them here.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.inspector.exports import header, headers_of, target_of
from ringback.receiver.event import Arrived, Event
from ringback.receiver.explain import Asked, Explanation, Named, explain
from ringback.receiver.source import PROVIDERS
from ringback.receiver.sources.port import Judgement, Provider, Terms
from ringback.store.captures import Capture

UNSIGNED: Final = "no_signature"
NO_TOKENS: Final = "No token is known here, so nothing can be verified: give one, or make the account whose token it is"
MOST_TOKENS: Final = 50
"""Tokens that a signature is tried with: each costs time, and whoever has more names the one that is meant."""
FITS: Final = frozenset({"v3", "v2", "v1", "twilio", "standard"})
"""Verdicts of captures that a known token has signed."""


class Keys(msgspec.Struct, frozen=True):
    """What captures are verified with."""

    tokens: Sequence[Named] = ()
    public_urls: Sequence[str] = ()
    """Scheme, host and port that senders call; those of the request itself when there are none."""


def arrived(item: Capture) -> Arrived:
    """Return a capture as a request that was received."""
    return Arrived(method=item.method, target=target_of(item), headers=headers_of(item), body=item.body)


def signed_by(request: Arrived) -> Provider | None:
    """Return the provider whose signature a request carries, whether it fits or not."""
    return next((provider for provider in PROVIDERS.values() if provider.offered(request)), None)


def said_by(item: Capture) -> Event | None:
    """Return what a capture says if it is somebody's callback; nothing of it is believed thereby."""
    request = arrived(item)
    provider = signed_by(request)
    readers = PROVIDERS.values() if provider is None else [provider]
    return next((event for reader in readers if (event := reader.read(request)) is not None), None)


def verdict(item: Capture, keys: Keys) -> str:
    """Return what verified a capture, such as ``v3``, or why nothing did, such as ``mismatch``."""
    request = arrived(item)
    provider = signed_by(request)
    if provider is None:
        return UNSIGNED
    judged = _judge(provider, item, keys)
    return judged.objection or judged.verified_by


def explained(item: Capture, keys: Keys) -> Explanation | None:
    """Explain a capture's signature; ``None`` when it carries none. May take a second where many tokens are known."""
    request = arrived(item)
    provider = signed_by(request)
    if provider is None:
        return None
    fitting = _judge(provider, item, keys).secret_index
    asked = Asked(
        provider=provider,
        request=request,
        urls=_urls(item, keys),
        # Once it is known whose the signature is, others only take room.
        tokens=keys.tokens if fitting is None else [keys.tokens[fitting]],
        terms=_terms(item),
    )
    if not keys.tokens:
        return msgspec.structs.replace(explain(asked), cause=NO_TOKENS, proven=False)
    return explain(asked)


def _judge(provider: Provider, item: Capture, keys: Keys) -> Judgement:
    secrets = [token.secret for token in keys.tokens]
    return provider.verify(arrived(item), _urls(item, keys), secrets, _terms(item))


def _terms(item: Capture) -> Terms:
    # Judged by the time when it came, not by the time when somebody asks.
    return Terms(now_us=item.received_at_us)


def _urls(item: Capture, keys: Keys) -> list[str]:
    host = header(item, "host")
    # Which of the two it was is not stored.
    bases = [base.rstrip("/") for base in keys.public_urls] or [f"{scheme}://{host}" for scheme in ("http", "https")]
    return [base + target_of(item) for base in bases]
