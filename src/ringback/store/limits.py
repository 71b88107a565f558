"""What accounts may do: rates, and the countries that they may send to.

A rate that an account does not have of its own is its main account's, else that of the settings, and is shared by all
who have it from there. A country has to be open to everybody who has a say: the installation (``ALL``), the main
account and the account.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import NotFound
from ringback.settings import LimitsSettings
from ringback.store.accounts import Account
from ringback.store.order import one_at_a_time
from ringback.store.port import Store, Transaction
from ringback.store.schema import accounts
from ringback.store.schema_limits import account_limits

ALL: Final = "all"
"""Stands for the installation where an account is named."""

RATES: Final = tuple(field.name for field in msgspec.structs.fields(LimitsSettings))
GEO: Final = ("countries_allowed", "countries_blocked", "thresholds", "alert_url")

_ROWS: Final = sa.select(account_limits).where(account_limits.c.account_id.in_(sa.bindparam("ids", expanding=True)))

_decode_thresholds: Final = msgspec.json.Decoder(dict[str, int]).decode
_encode: Final = msgspec.json.Encoder().encode


class Limit(msgspec.Struct, frozen=True):
    """A limit, and the account whose it is: all who have it from there share it."""

    value: float
    owner: str


class Geo(msgspec.Struct, frozen=True, kw_only=True):
    """What one party says about countries; ``None`` where it says nothing."""

    owner: str
    allowed: frozenset[str] | None = None
    blocked: frozenset[str] = frozenset()
    thresholds: Mapping[str, int] = {}
    """Messages an hour by country, ``*`` for those that are not named."""
    alert_url: str | None = None

    def threshold(self, country: str) -> int | None:
        """Return the threshold of a country."""
        return self.thresholds.get(country, self.thresholds.get("*"))


class Limits(msgspec.Struct, frozen=True):
    """Everything that holds for one account; ``None`` and an empty tuple where there is no limit."""

    requests_per_5_s: Limit | None = None
    lists_per_minute: Limit | None = None
    concurrent_requests: Limit | None = None
    messages_per_s: Limit | None = None
    mms_per_s: Limit | None = None
    source_messages_per_s: Limit | None = None
    source_mms_per_s: Limit | None = None
    geo: tuple[Geo, ...] = ()

    def is_open(self, country: str) -> bool:
        """Say whether messages may go to a country."""
        return all(
            country not in each.blocked and (each.allowed is None or country in each.allowed) for each in self.geo
        )


def resolve(
    rows: Mapping[str, Mapping[str, Any]], *, account_id: str, main_id: str, defaults: LimitsSettings
) -> Limits:
    """Return what holds for an account, by the rows of the installation, its main account and itself."""
    rates: dict[str, Limit | None] = {}
    for name in RATES:
        limit = Limit(getattr(defaults, name), main_id)
        for owner in (main_id, account_id):
            if (own := rows.get(owner, {}).get(name)) is not None:
                limit = Limit(own, owner)
        rates[name] = limit if limit.value else None
    parties = [rows[owner] for owner in dict.fromkeys((ALL, main_id, account_id)) if owner in rows]
    return Limits(**rates, geo=tuple(_geo(row) for row in parties if any(row[name] is not None for name in GEO)))


def _geo(row: Mapping[str, Any]) -> Geo:
    return Geo(
        owner=row["account_id"],
        allowed=None if row["countries_allowed"] is None else _countries(row["countries_allowed"]),
        blocked=_countries(row["countries_blocked"] or ""),
        thresholds=_decode_thresholds(row["thresholds"] or "{}"),
        alert_url=row["alert_url"],
    )


def _countries(text: str) -> frozenset[str]:
    return frozenset(part for part in text.split(",") if part)


def effective(tx: Transaction, account_id: str, main_id: str, defaults: LimitsSettings) -> Limits:
    """Return what holds for an account."""
    return resolve(_rows(tx, (ALL, main_id, account_id)), account_id=account_id, main_id=main_id, defaults=defaults)


def _rows(tx: Transaction, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    return {row["account_id"]: dict(row) for row in tx.execute(_ROWS, {"ids": list(ids)}).mappings()}


def own(tx: Transaction, account_id: str) -> dict[str, Any]:
    """Return an account's row, or the installation's, with ``None`` for what is not set. Raises ``NotFound``."""
    _known(tx, account_id)
    empty = {column.name: None for column in account_limits.columns}
    return {**empty, "account_id": account_id, **_rows(tx, (account_id,)).get(account_id, {})}


def configure(tx: Transaction, account_id: str, changes: Mapping[str, Any]) -> None:
    """Set some columns of an account's row, or of the installation's; ``None`` clears. Raises ``NotFound``."""
    # Of two changes at a time each keeps what the other has changed.
    one_at_a_time(tx, f"limits {account_id}")
    row = own(tx, account_id) | dict(changes)
    tx.execute(account_limits.delete().where(account_limits.c.account_id == account_id))
    tx.execute(account_limits.insert().values(row))


def _known(tx: Transaction, account_id: str) -> None:
    if account_id == ALL:
        return
    query = sa.select(accounts.c.auth_id).where(accounts.c.auth_id == account_id)
    if tx.execute(query).first() is None:
        raise NotFound(f"there is no account {account_id[:64]}: ringback account list shows them")


def thresholds_text(thresholds: Mapping[str, int]) -> str | None:
    """Return thresholds as they are stored."""
    return _encode(dict(thresholds)).decode() if thresholds else None


_WITH_THRESHOLDS: Final = sa.select(account_limits).where(
    account_limits.c.thresholds.is_not(None),
    sa.or_(
        account_limits.c.account_id == ALL,
        account_limits.c.account_id.in_(sa.bindparam("ids", expanding=True)),
        account_limits.c.account_id.in_(
            sa.select(accounts.c.parent_id).where(accounts.c.auth_id.in_(sa.bindparam("parented", expanding=True)))
        ),
    ),
)
_PARENTS: Final = sa.select(accounts.c.auth_id, accounts.c.parent_id).where(
    accounts.c.auth_id.in_(sa.bindparam("ids", expanding=True))
)


def with_thresholds(tx: Transaction, account_ids: Sequence[str]) -> dict[str, tuple[str, list[Geo]]]:
    """Return for accounts under thresholds their main account, and whose thresholds those are, the nearest first."""
    ids = list(account_ids)
    geo = {
        row["account_id"]: _geo(dict(row))
        for row in tx.execute(_WITH_THRESHOLDS, {"ids": ids, "parented": ids}).mappings()
    }
    if not geo:
        return {}
    found = {}
    for row in tx.execute(_PARENTS, {"ids": ids}):
        main_id = row.parent_id or row.auth_id
        if parties := [geo[owner] for owner in dict.fromkeys((row.auth_id, main_id, ALL)) if owner in geo]:
            found[row.auth_id] = (main_id, parties)
    return found


class LimitsCache:
    """Limits as last read, at most ``ttl_s`` old: every API call asks for some."""

    def __init__(self, store: Store, defaults: LimitsSettings, *, ttl_s: float = 2.0) -> None:
        self._store = store
        self._defaults = defaults
        self._ttl_us = round(ttl_s * 1_000_000)
        self._known: dict[str, tuple[int, Limits]] = {}

    async def get(self, account: Account, now_us: int) -> Limits:
        """Return what holds for an account. Raises ``StoreUnavailable``."""
        known = self._known.get(account.auth_id)
        if known and now_us - known[0] < self._ttl_us:
            return known[1]
        main_id = account.parent_id or account.auth_id
        found = await self._store.read(lambda tx: effective(tx, account.auth_id, main_id, self._defaults))
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[account.auth_id] = (now_us, found)
        return found
