"""Who a message is from: the ``src`` of its request, or the number that a powerpack chooses.

The choice is stored before the messages are: whoever is chosen a number keeps it, even when they are not taken. It
need not be on disk by itself, since nothing durable is on disk before it.
"""

from collections.abc import Sequence
from typing import Final

from ringback.dialect.send import SendRequest
from ringback.model.errors import InvalidRequest
from ringback.model.powerpack import SMS, Picker, Powerpack, pick_all
from ringback.store import numbers, powerpacks
from ringback.store.accounts import Account
from ringback.store.port import Store, Transaction
from ringback.store.scope import Scope

DAY_US: Final = 86_400_000_000
OWNED_FOR_US: Final = 2_000_000
"""For how long an answer to "whose number is this?" is good."""


class Senders:
    """Finds the number or name that each message is from."""

    def __init__(self, store: Store, *, requires_owned: bool) -> None:
        self._store = store
        self._requires_owned = requires_owned
        self._owned: dict[tuple[Scope, str], int] = {}

    async def sources(
        self, account: Account, request: SendRequest, *, now_us: int, service: str = SMS
    ) -> Sequence[str]:
        """Return the sender for each destination of a request. Raises ``InvalidRequest``."""
        if request.powerpack_uuid is None:
            if self._requires_owned and request.src.isdigit():
                await self._check_owned(Scope.of(account), request.src, now_us)
            return [request.src] * len(request.destinations)
        scope, uuid = Scope.of(account), request.powerpack_uuid

        def work(tx: Transaction) -> Sequence[str]:
            powerpack = powerpacks.find(tx, scope, uuid, lock=True)
            if powerpack is None:
                raise InvalidRequest(f"there is no powerpack {uuid} of yours")
            return _choose(tx, powerpack, request.destinations, service=service, now_us=now_us)

        return await self._store.write(work, durable=False)

    async def _check_owned(self, scope: Scope, number: str, now_us: int) -> None:
        if now_us - self._owned.get((scope, number), -OWNED_FOR_US) < OWNED_FOR_US:
            return
        if await self._store.read(lambda tx: numbers.find(tx, scope, number)) is None:
            raise InvalidRequest(f"src {number} is not a number of yours: rent it, or use one that you have")
        if len(self._owned) > 10_000:
            self._owned.clear()
        self._owned[(scope, number)] = now_us


def _choose(
    tx: Transaction, powerpack: Powerpack, recipients: Sequence[str], *, service: str, now_us: int
) -> Sequence[str]:
    noted = powerpacks.kept_numbers(tx, powerpack.uuid, recipients) if powerpack.sticky_sender else {}
    picker = Picker(powerpack, powerpacks.candidates(tx, powerpack.uuid), service=service)
    chosen, unreachable = pick_all(picker, recipients, {recipient: number for recipient, (number, _) in noted.items()})
    if unreachable:
        raise InvalidRequest(
            f"powerpack {powerpack.uuid} has no number that can send {service} to {unreachable[0]}: add one to its pool"
        )
    if powerpack.sticky_sender:
        changed = {
            recipient: number
            for recipient, number in chosen.items()
            if recipient not in noted or noted[recipient][0] != number or noted[recipient][1] < now_us - DAY_US
        }
        powerpacks.keep_numbers(tx, powerpack.uuid, changed, now_us=now_us)
    powerpacks.set_loads(tx, picker.loads())
    return [chosen[recipient] for recipient in recipients]
