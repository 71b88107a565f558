"""Who is bound to this process."""

from collections.abc import Iterator
from typing import Final

import msgspec

from ringback.carriers.lately import Lately
from ringback.carriers.smpp.connection import Connection
from ringback.carriers.smpp.session import State
from ringback.store.smpp_binds import Bind
from ringback.store.smpp_logins import Login

KINDS: Final = {State.BOUND_TX: "transmitter", State.BOUND_RX: "receiver", State.BOUND_TRX: "transceiver"}
LISTENING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})


class Bound(msgspec.Struct, frozen=True, eq=False):
    """A connection, and whose it is."""

    number: int
    connection: Connection
    login: Login
    kind: str
    since_us: int
    submits: Lately

    @property
    def is_listening(self) -> bool:
        """Whether it takes receipts and messages from phones now."""
        return self.connection.session.state in LISTENING


class Binds:
    """The binds of this process."""

    def __init__(self) -> None:
        self._bound: dict[Connection, Bound] = {}
        self._last = 0

    def add(self, connection: Connection, login: Login, now_us: int) -> None:
        """Take in a connection that has just been bound; it is let go of when it ends."""
        self._last += 1
        kind = KINDS[connection.session.state]
        self._bound[connection] = Bound(self._last, connection, login, kind, now_us, Lately())
        connection.closed.add_done_callback(lambda _: self._bound.pop(connection, None))

    def of(self, connection: Connection) -> Bound | None:
        """Return whose a connection is."""
        return self._bound.get(connection)

    def __iter__(self) -> Iterator[Bound]:
        return iter(list(self._bound.values()))

    def __len__(self) -> int:
        return len(self._bound)

    def of_account(self, account_id: str) -> int:
        """Return how many binds an account has here."""
        return sum(bound.login.account_id == account_id for bound in self._bound.values())

    def listening(self) -> dict[str, list[Connection]]:
        """Return by login the connections that take receipts and messages from phones."""
        found: dict[str, list[Connection]] = {}
        for bound in self._bound.values():
            if bound.is_listening:
                found.setdefault(bound.login.id, []).append(bound.connection)
        return found

    def shown(self, node: str, now_us: int) -> list[Bind]:
        """Tell who is bound."""
        return [
            Bind(
                node=node,
                number=bound.number,
                system_id=bound.login.system_id,
                account_id=bound.login.account_id,
                kind=bound.kind,
                address=bound.connection.peer,
                since_us=bound.since_us,
                in_hand=bound.connection.in_hand,
                window_used=bound.connection.session.outstanding,
                window_allowed=bound.connection.window.allowed,
                submits_per_s=bound.submits.per_s(now_us),
            )
            for bound in self
        ]
