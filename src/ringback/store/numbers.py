"""The inventory of numbers: who has which, which are for rent, where what comes in for one goes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.inventory import SHORTCODE, Number, types_meant
from ringback.store import bulk
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import accounts
from ringback.store.schema_numbers import applications, numbers, powerpacks
from ringback.store.scope import Scope

IN_USE: Final = (
    "account_id", "subaccount_id", "app_id", "alias", "cnam_lookup", "cnam", "compliance_application_id",
    "profile_uuid", "added_at_us", "powerpack_uuid", "pool_service", "pool_load", "pooled_at_us",
)  # fmt: skip
"""Columns that are null while a number is for rent."""


class OwnedNumber(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a number, and where what comes in for it goes."""

    number: str
    account_id: str
    """The subaccount that it is for, else the main account."""
    app_id: str | None
    """The application of its powerpack, else its own."""
    message_url: str | None
    message_method: str
    log_incoming_messages: bool
    retry_delays: str | None
    """Of its application: the retry plan of callbacks, as stored."""
    powerpack_uuid: str | None
    sms_enabled: bool
    mms_enabled: bool


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which numbers to list; ``None`` takes all."""

    type: str | None = None
    prefix: str | None = None
    subaccount_id: str | None = None
    alias: str | None = None
    services: tuple[str, ...] = ()
    cnam_lookup: str | None = None
    account_id: str | None = None
    country: str | None = None
    is_rented: bool | None = None
    """Whether an account has it."""


class Shelved(msgspec.Struct, frozen=True):
    """A number, and what those are called who have to do with it."""

    number: Number
    account_name: str | None
    application_name: str | None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which numbers for rent to list; ``None`` takes all."""

    country: str
    type: str | None = None
    prefix: str | None = None
    region: str | None = None
    city: str | None = None
    rate_center: str | None = None
    lata: int | None = None
    services: tuple[str, ...] = ()


_COLUMNS: Final = [column for column in numbers.c if column.name != "pool_load"]
_NUMBERS: Final = sa.select(*_COLUMNS, accounts.c.name.label("subaccount_name")).select_from(
    numbers.outerjoin(accounts, accounts.c.auth_id == numbers.c.subaccount_id)
)
_MAIN: Final = accounts.alias("main")
_OF_APPLICATION: Final = applications.alias("of_application")
_SHELVED: Final = sa.select(
    *_COLUMNS,
    accounts.c.name.label("subaccount_name"),
    _MAIN.c.name.label("account_name"),
    _OF_APPLICATION.c.name.label("application_name"),
).select_from(
    numbers.outerjoin(accounts, accounts.c.auth_id == numbers.c.subaccount_id)
    .outerjoin(_MAIN, _MAIN.c.auth_id == numbers.c.account_id)
    .outerjoin(_OF_APPLICATION, _OF_APPLICATION.c.app_id == numbers.c.app_id)
)
_BOUND_TO: Final = sa.func.coalesce(powerpacks.c.app_id, numbers.c.app_id)
_OWNER: Final = (
    sa.select(
        numbers.c.number,
        sa.func.coalesce(numbers.c.subaccount_id, numbers.c.account_id).label("account_id"),
        applications.c.app_id,
        sa.func.nullif(applications.c.message_url, "").label("message_url"),
        sa.func.coalesce(applications.c.message_method, "POST").label("message_method"),
        sa.func.coalesce(applications.c.log_incoming_messages, sa.true()).label("log_incoming_messages"),
        applications.c.retry_delays,
        numbers.c.powerpack_uuid,
        numbers.c.sms_enabled,
        numbers.c.mms_enabled,
    )
    .select_from(
        numbers.outerjoin(powerpacks, powerpacks.c.uuid == numbers.c.powerpack_uuid).outerjoin(
            applications, applications.c.app_id == _BOUND_TO
        )
    )
    .where(numbers.c.number == sa.bindparam("number"), numbers.c.account_id.is_not(None))
)


def owner(tx: Transaction, number: str) -> OwnedNumber | None:
    """Return who has a number, given as digits; ``None`` when nobody has it."""
    row = tx.execute(_OWNER, {"number": number}).one_or_none()
    if row is None:
        return None
    # SQLite gives expressions of truth values as numbers.
    return OwnedNumber(**{**row._mapping, "log_incoming_messages": bool(row.log_incoming_messages)})  # noqa: SLF001


def add(tx: Transaction, new: Sequence[Number]) -> list[str]:
    """Add numbers, no two alike; those that are there already stay as they are and are returned."""
    # Two that add the same number would both find that it is not there.
    one_at_a_time(tx, "numbers")
    query = sa.select(numbers.c.number).where(numbers.c.number.in_(sa.bindparam("given", expanding=True)))
    known: set[str] = set()
    given = [each.number for each in new]
    for start in range(0, len(given), bulk.MAX_PARAMETERS):
        known.update(tx.execute(query, {"given": given[start : start + bulk.MAX_PARAMETERS]}).scalars())
    rows = [_row(each) for each in new if each.number not in known]
    bulk.insert(tx, numbers, rows)
    return [number for number in given if number in known]


def bring(tx: Transaction, scope: Scope, own: Sequence[Number], *, terms: Mapping[str, Any], now_us: int) -> None:
    """Add numbers that an account brings with it, all of them or none.

    ``terms`` are the fields that they begin with. Raises ``InvalidRequest``.
    """
    theirs = {"account_id": scope.account_id, "subaccount_id": scope.subaccount_id, "added_at_us": now_us, **terms}
    if known := add(tx, [msgspec.structs.replace(each, is_own=True, **theirs) for each in own]):
        raise InvalidRequest(f"{known[0]} is in the inventory already, nothing was added")


def _row(number: Number) -> dict[str, Any]:
    row = msgspec.structs.asdict(number)
    del row["subaccount_name"]
    return {**row, "pool_load": None}


def remove(tx: Transaction, number: str) -> None:
    """Take a number that nobody has out of the inventory. Raises ``NotFound`` or ``InvalidRequest``."""
    if tx.execute(numbers.delete().where(numbers.c.number == number, numbers.c.account_id.is_(None))).rowcount:
        return
    if find(tx, None, number) is None:
        raise NotFound(f"there is no number {number}: ringback numbers list shows them")
    raise InvalidRequest(f"{number} belongs to an account: it has to unrent it first")


def find(tx: Transaction, scope: Scope | None, number: str) -> Number | None:
    """Return a number of a scope (of the whole inventory when ``None``)."""
    conditions = [] if scope is None else scope.conditions(numbers)
    row = tx.execute(_NUMBERS.where(numbers.c.number == number, *conditions)).one_or_none()
    return _number(row) if row else None


def rent(tx: Transaction, scope: Scope, number: str, *, terms: Mapping[str, Any], now_us: int) -> None:
    """Give a number that is for rent to an account: of any who ask at a time, to one.

    ``terms`` are the columns that it begins with. Raises ``NotFound`` or ``InvalidRequest``.
    """
    free = (numbers.c.number == number, numbers.c.account_id.is_(None), numbers.c.type != SHORTCODE)
    values = {"account_id": scope.account_id, "subaccount_id": scope.subaccount_id, "added_at_us": now_us, **terms}
    if tx.execute(numbers.update().where(*free).values(**values)).rowcount:
        return
    if find(tx, scope, number):
        raise InvalidRequest(f"{number} is rented already, by you")
    found = find(tx, None, number)
    if found is None or found.type == SHORTCODE:
        raise NotFound("not found")
    raise InvalidRequest(f"{number} is not for rent any more: search for another one")


def update(tx: Transaction, scope: Scope, number: str, changes: Mapping[str, Any]) -> bool:
    """Set columns of a number; says whether there is such a one."""
    mine = numbers.c.number == number, *scope.conditions(numbers)
    if not changes:
        return find(tx, scope, number) is not None
    return tx.execute(numbers.update().where(*mine).values(**changes)).rowcount == 1


def unrent(tx: Transaction, scope: Scope, number: str) -> bool:
    """Give a number up: it is for rent again, or gone if its account brought it; says whether there was such a one."""
    mine = numbers.c.number == number, *scope.conditions(numbers)
    return _let_go(tx, *mine)


def unrent_all(tx: Transaction, scope: Scope) -> None:
    """Give up all numbers of a scope."""
    _let_go(tx, *scope.conditions(numbers))


def unrent_pool(tx: Transaction, powerpack_uuid: str) -> None:
    """Give all numbers of a powerpack up."""
    _let_go(tx, numbers.c.powerpack_uuid == powerpack_uuid)


def _let_go(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> bool:
    gone = tx.execute(numbers.delete().where(*conditions, numbers.c.is_own)).rowcount
    freed = tx.execute(numbers.update().where(*conditions, ~numbers.c.is_own).values(dict.fromkeys(IN_USE))).rowcount
    return gone + freed > 0


def page(
    tx: Transaction,
    scope: Scope | None,
    wanted: Filter,
    *,
    limit: int,
    offset: int,
    keeps: Callable[[Number], bool] | None = None,
) -> tuple[int, list[Number]]:
    """Return how many numbers of a scope (all when ``None``) there are, and some of them, by number.

    ``keeps`` filters by what is no column: then all that match are read.
    """
    conditions = [] if scope is None else scope.conditions(numbers)
    conditions += _conditions(wanted)
    if keeps is not None:
        query = _NUMBERS.where(*conditions).order_by(numbers.c.number)
        kept = [number for row in tx.execute(query) if keeps(number := _number(row))]
        return len(kept), kept[offset : offset + limit]
    return matching(tx, conditions, limit=limit, offset=offset)


def for_rent(tx: Transaction, wanted: Search, *, limit: int, offset: int) -> tuple[int, list[Number]]:
    """Return how many numbers for rent there are, and some of them, by number."""
    conditions: list[sa.ColumnElement[bool]] = [
        numbers.c.account_id.is_(None),
        numbers.c.country == wanted.country,
        numbers.c.type != SHORTCODE,
        *_shared(wanted.type, wanted.prefix, wanted.services),
    ]
    for column, value in (
        (numbers.c.region, wanted.region),
        (numbers.c.city, wanted.city),
        (numbers.c.rate_center, wanted.rate_center),
    ):
        if value is not None:
            conditions.append(sa.func.lower(column) == value.lower())
    if wanted.lata is not None:
        conditions.append(numbers.c.lata == wanted.lata)
    return matching(tx, conditions, limit=limit, offset=offset)


def shelf(tx: Transaction, wanted: Filter, *, after: str, limit: int) -> list[Shelved]:
    """Return numbers of all accounts and for rent that come after ``after``, by number."""
    query = _SHELVED.where(*_conditions(wanted), numbers.c.number > after).order_by(numbers.c.number).limit(limit)
    found = []
    for row in tx.execute(query):
        columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
        names = columns.pop("account_name"), columns.pop("application_name")
        found.append(Shelved(Number(**columns), *names))
    return found


def matching(
    tx: Transaction, conditions: Sequence[sa.ColumnElement[bool]], *, limit: int, offset: int
) -> tuple[int, list[Number]]:
    """Return how many numbers there are for which ``conditions`` hold, and some of them, by number."""
    total = tx.execute(sa.select(sa.func.count()).select_from(numbers).where(*conditions)).scalar_one()
    query = _NUMBERS.where(*conditions).order_by(numbers.c.number).limit(limit).offset(offset)
    return total, [_number(row) for row in tx.execute(query)]


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    equal = {
        numbers.c.subaccount_id: wanted.subaccount_id,
        numbers.c.alias: wanted.alias,
        numbers.c.account_id: wanted.account_id,
        numbers.c.country: wanted.country,
        # Who has not asked for it does not have it.
        sa.func.coalesce(numbers.c.cnam_lookup, "disabled"): wanted.cnam_lookup,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if wanted.is_rented is not None:
        has = numbers.c.account_id.is_not(None)
        conditions.append(has if wanted.is_rented else ~has)
    return [*conditions, *_shared(wanted.type, wanted.prefix, wanted.services)]


def _shared(type_: str | None, prefix: str | None, services: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [numbers.c[f"{service}_enabled"] for service in services]
    if type_ is not None:
        conditions.append(numbers.c.type.in_(types_meant(type_)))
    if prefix is not None:
        conditions.append(begins_with(prefix))
    return conditions


def begins_with(prefix: str) -> sa.ColumnElement[bool]:
    """Return what a number must be to begin with some digits: a range, which every index on numbers can find."""
    rest = prefix.rstrip("9")
    bounds = [numbers.c.number >= prefix]
    if rest:
        bounds.append(numbers.c.number < rest[:-1] + str(int(rest[-1]) + 1))
    return sa.and_(*bounds)


def _number(row: Any) -> Number:
    return Number(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
