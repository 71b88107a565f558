"""The acceptor that the platform has, over a store and a clock of a test."""

from typing import Any

from ringback.messaging.accept import Acceptor
from ringback.messaging.senders import Senders
from ringback.model.pricing import Tariff
from ringback.settings import MessagingSettings
from ringback.store import prices
from ringback.store.cached import Cached
from ringback.store.callers import Reach


def acceptor(
    *, store: Any, settings: MessagingSettings | None = None, max_waiting: int = 1000, **parts: Any
) -> Acceptor:
    """Make an acceptor; ``parts`` are what it takes besides."""
    rules = settings or MessagingSettings()

    def tariff(tx: Any) -> Tariff:
        return Tariff(
            prices.read(tx),
            default_rate=rules.default_rate,
            mms_rate=rules.mms_rate,
            inbound_rate=rules.inbound_rate,
        )

    return Acceptor(
        store=store,
        settings=rules,
        tariff=Cached(store, tariff),
        reach=Reach(store),
        max_waiting=max_waiting,
        senders=Senders(store, requires_owned=False),
        **parts,
    )
