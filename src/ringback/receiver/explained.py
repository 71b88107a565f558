"""Explains stored requests: with today's tokens, which may differ from those of the day when they came."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from ringback.carriers.hooks import carrier_of
from ringback.receiver.event import Arrived, Event, Kind
from ringback.receiver.explain import Asked, Explanation, Named, explain
from ringback.receiver.proxies import Proxies
from ringback.receiver.source import PROVIDERS, named
from ringback.receiver.sources.port import Terms
from ringback.runtime import Clock
from ringback.settings import SourceSettings
from ringback.store import accounts
from ringback.store.accounts import Account
from ringback.store.port import Store
from ringback.store.received import RECONCILED, ReceivedRequest

headers_of = msgspec.json.Decoder(list[tuple[str, str]]).decode


NO_REQUEST: Final = Explanation(
    verdict=RECONCILED,
    accepted=True,
    offered=(),
    nonces=(),
    tried=(),
    left_out=0,
    cause="no callback, so nothing is signed: a record of the provider's list, filled in by ringback reconcile",
    proven=True,
)


async def _no_carrier(_: str) -> SourceSettings | None:
    return None


class Explainer:
    """Knows the sources, and what to call their tokens."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        sources: Mapping[str, SourceSettings],
        public_base_url: str,
        proxies: Proxies,
        carriers: Callable[[str], Awaitable[SourceSettings | None]] = _no_carrier,
    ) -> None:
        self._carriers = carriers
        self._store = store
        self._clock = clock
        self._sources = sources
        self._public_base_url = public_base_url
        self._proxies = proxies

    async def explain(self, stored: ReceivedRequest) -> Explanation | None:
        """Explain a request, ``None`` when its source is not configured any more. Raises ``StoreUnavailable``."""
        if stored.verdict == RECONCILED:
            return NO_REQUEST
        source = self._sources.get(stored.source)
        if source is None and (carrier := carrier_of(stored.source)):
            source = await self._carriers(carrier)
        if source is None:
            return None
        now_us = self._clock.now_us()
        known = await self._store.read(lambda tx: accounts.list_all(tx, now_us))
        request = arrived(stored)
        terms = Terms(
            require_v3=source.require_v3,
            tolerance_s=source.tolerance_s,
            # Judged by the time when it came, not by the time when somebody asks.
            now_us=stored.received_at_us,
        )
        asked = Asked(
            provider=PROVIDERS[source.provider],
            request=request,
            urls=self._urls(stored, source, request),
            tokens=_tokens(source, known),
            terms=terms,
            others=[
                *(token for name, other in self._sources.items() if other is not source
                  for token in named(other.tokens, of=f"a token of source {name},")),
                *(token for account in known
                  for token in named(account.tokens, of=f"a token of account {account.auth_id},")),
            ],
        )  # fmt: skip
        return explain(asked)

    async def known_tokens(self, most: int) -> list[Named]:
        """Return the tokens of all sources and accounts, up to ``most`` of them. Raises ``StoreUnavailable``."""
        return await known_tokens(self._store, self._clock, self._sources, most=most)

    @property
    def public_urls(self) -> tuple[str, ...]:
        """Scheme, host and port that senders call, where the settings say so."""
        return (self._public_base_url,) if self._public_base_url else ()

    def _urls(self, stored: ReceivedRequest, source: SourceSettings, request: Arrived) -> list[str]:
        if base := source.public_url or self._public_base_url:
            return [base.rstrip("/") + stored.target]
        headers = list(request.headers.items())
        # Which of the two it was is not stored.
        return [
            self._proxies.seen(peer=stored.peer, scheme=scheme, headers=headers).origin + stored.target
            for scheme in ("http", "https")
        ]


async def known_tokens(store: Store, clock: Clock, sources: Mapping[str, SourceSettings], *, most: int) -> list[Named]:
    """Return the tokens of all sources and accounts, up to ``most`` of them. Raises ``StoreUnavailable``."""
    known = await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))
    found = [
        *(token for name, source in sources.items() for token in named(source.tokens, of=f"source {name}, token")),
        *(token for each in known for token in named(each.tokens, of=f"account {each.auth_id}, token")),
    ]
    return list({token.secret: token for token in reversed(found)}.values())[::-1][:most]


def _tokens(source: SourceSettings, known: Sequence[Account]) -> list[Named]:
    account = next((each for each in known if each.auth_id == source.account), None)
    of_account = () if account is None else tuple(dict.fromkeys((*account.tokens, *account.main_tokens)))
    return [*named(of_account, of=f"account {source.account}, token"), *named(source.tokens)]


def arrived(stored: ReceivedRequest) -> Arrived:
    """Return a stored request as it came."""
    return Arrived(
        method=stored.method,
        target=stored.target,
        headers=headers_of(stored.headers),
        body=stored.body,
        kind="record" if stored.verdict == RECONCILED else kind_of(stored.target),
    )


def kind_of(target: str) -> Kind:
    """Return what the address is for that a request came to."""
    path = target.partition("?")[0].rstrip("/").lower()
    return "inbound" if path.endswith("/sms_inbound") else "status" if path.endswith("/sms_status") else "any"


def said_by(stored: ReceivedRequest, source: SourceSettings | None) -> Event | None:
    """Return all that an accepted request says; ``None`` if it says nothing, or nobody knows whose words these are."""
    return None if source is None else PROVIDERS[source.provider].read(arrived(stored))
