"""A source: a provider with the tokens, the public URL and the conditions that hold for one account of it.

This is all there is to verifying a callback, and needs neither a database nor a server: ``Source`` is what programs of
others use (``docs/receiver.md``), and what the receiver itself does.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal

import msgspec

from ringback.receiver.event import Arrived, Event, Kind
from ringback.receiver.explain import Asked, Explanation, Named, explain
from ringback.receiver.sources.plivo import Plivo
from ringback.receiver.sources.port import Provider, Terms
from ringback.receiver.sources.standard import StandardWebhooks
from ringback.receiver.sources.twilio import Twilio

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider for provider in (Plivo(), Twilio(), StandardWebhooks())
}


class NotVerified(Exception):
    """A request that must not be believed. Answer it 403; the text is the reason."""

    def __init__(self, reason: str, asked: Asked) -> None:
        super().__init__(reason)
        self.reason = reason
        """As in the table of verdicts in docs/receiver.md."""
        self._asked = asked

    @cached_property
    def explanation(self) -> Explanation:
        """What was tried, and the likely cause, without any secret. Costs some 10 ms, so only when somebody asks."""
        return explain(self._asked)


class Malformed(Exception):
    """A request that is signed as it should be, and says nothing that is a callback. Answer it 400."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Whose callbacks are believed."""

    tokens: tuple[str, ...]
    """Whoever has signed with one of them: account and main account, old and new during a rotation."""
    public_url: str
    """Scheme, host and port that the provider calls, with the prefix that a proxy cuts off."""
    provider: Literal["plivo", "twilio", "standard"] = "plivo"
    require_v3: bool = False
    """Refuse what is signed with an older scheme alone."""
    tolerance_s: int = 300
    """How far a signed time may be from now, where there is one."""

    def event(
        self,
        *,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        now_us: int,
        kind: Kind = "any",
    ) -> Event:
        """Return what a request says, once it is verified.

        ``target`` is path and query as on the request line, not decoded; ``headers`` in the order in which they came,
        repeated ones as often; ``now_us`` is UTC in microseconds since 1970, for providers that sign a time. Raises
        ``NotVerified`` or ``Malformed``; nothing else, whatever the request is.
        """
        request = Arrived(method=method.upper(), target=target, headers=headers, body=body, kind=kind)
        terms = self.terms(now_us)
        provider = PROVIDERS[self.provider]
        judged = provider.verify(request, self.urls(target), self.tokens, terms)
        if judged.objection:
            asked = Asked(
                provider=provider, request=request, urls=self.urls(target), tokens=named(self.tokens), terms=terms
            )
            raise NotVerified(judged.objection, asked)
        event = provider.read(request)
        if event is None:
            raise Malformed("the request is signed, and is neither a status callback nor an inbound message")
        return event

    def terms(self, now_us: int) -> Terms:
        """Return what this source asks of its requests."""
        return Terms(require_v3=self.require_v3, tolerance_s=self.tolerance_s, now_us=now_us)

    def urls(self, target: str) -> tuple[str, ...]:
        """Return what the provider has called."""
        return (self.public_url.rstrip("/") + target,)


def named(tokens: Sequence[str], *, of: str = "token") -> list[Named]:
    """Name tokens by their place: they are secrets."""
    return [Named(f"{of} {number}", token) for number, token in enumerate(tokens, 1)]
