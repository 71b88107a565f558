"""What sources need before the first request comes: accounts that may read them, and that sign what is handed on."""

from collections.abc import Mapping

from ringback.model.errors import ConfigInvalid
from ringback.model.ids import AUTH_ID, AccountId
from ringback.receiver.forward import targets_of
from ringback.runtime import Clock
from ringback.settings import SourceSettings
from ringback.store import accounts
from ringback.store.port import Store, Transaction


async def open_sources(store: Store, clock: Clock, sources: Mapping[str, SourceSettings]) -> None:
    """Let the owners of sources read them with the credentials that they have at the provider.

    That is for ids that an account here can have. Such an account reads, and neither changes nor sends anything:
    whoever has a provider's token is not by that a customer of this platform. Raises ``ConfigInvalid`` where something
    is to be handed on and there is no account to sign for it.
    """
    if not sources:
        return
    now_us = clock.now_us()

    def work(tx: Transaction) -> set[str]:
        for name, source in sources.items():
            if source.tokens and AUTH_ID.fullmatch(source.auth_id):
                accounts.ensure(
                    tx,
                    auth_id=AccountId(source.auth_id),
                    tokens=source.tokens[:1],
                    name=name,
                    now_us=now_us,
                    reads_only=True,
                )
        return {target.account for name, source in sources.items() for target in targets_of(name, source)}

    for account_id in sorted(await store.write(work)):
        if await store.read(lambda tx, wanted=account_id: accounts.find(tx, wanted, now_us)) is None:  # type: ignore[misc]
            raise ConfigInvalid(
                f"settings: events are to be handed on for account {account_id}, and there is none of that id: "
                "ringback account list shows them"
            )
