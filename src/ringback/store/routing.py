"""Carriers and routes: what is configured, and how each link is in each process.

Every change counts one more in ``routing_version``. That row is all that those who follow have to read.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.routes import Carrier, Route, RoutingTable, Source, table_of
from ringback.store.port import Transaction
from ringback.store.schema_carriers import carrier_links, carriers, routes, routing_version

_VERSION: Final = sa.select(routing_version.c.version)
_OWN_COLUMNS: Final = ("name", "is_paused", "source")
_encode = msgspec.json.Encoder().encode


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """How a carrier's link was in one process."""

    carrier: str
    node: str
    at_us: int
    snapshot: str
    """JSON of ``carriers.port.Snapshot``."""


def version(tx: Transaction) -> int:
    """Return what changes with every change; 0 when nothing was ever configured."""
    return tx.execute(_VERSION).scalar_one_or_none() or 0


def read(tx: Transaction) -> RoutingTable:
    """Return everything that is configured."""
    found = [_carrier(row) for row in tx.execute(sa.select(carriers).order_by(carriers.c.name))]
    return table_of(version(tx), found, all_routes(tx))


def all_routes(tx: Transaction) -> list[Route]:
    """Return the routes that are configured, by name."""
    return [_route(row) for row in tx.execute(sa.select(routes).order_by(routes.c.name))]


def all_carriers(tx: Transaction) -> list[Carrier]:
    """Return the carriers that are configured, by name."""
    return [_carrier(row) for row in tx.execute(sa.select(carriers).order_by(carriers.c.name))]


def put_carrier(tx: Transaction, carrier: Carrier, *, now_us: int) -> None:
    """Store a carrier; one of its name keeps whether it is paused. Raises ``InvalidRequest`` for the file's."""
    _changed(tx)
    before = tx.execute(sa.select(carriers).where(carriers.c.name == carrier.name)).one_or_none()
    _check_source(before, carrier.source, f"carrier {carrier.name}")
    row = {
        "kind": carrier.kind,
        "settings": _encode(carrier.settings).decode(),
        "capacity": carrier.capacity,
        "source": carrier.source,
        "changed_at_us": now_us,
    }
    if before is not None:
        tx.execute(carriers.update().where(carriers.c.name == carrier.name).values(row))
        return
    state = {"is_paused": carrier.is_paused, "reason": carrier.reason, "rebinds": 0}
    tx.execute(carriers.insert().values({"name": carrier.name} | state | row))


def put_route(tx: Transaction, route: Route, *, now_us: int) -> None:
    """Store a route; one of its name keeps whether it is paused. Raises ``InvalidRequest``, ``NotFound``."""
    _write_down_default(tx, now_us=now_us)
    _changed(tx)
    if tx.execute(sa.select(carriers.c.name).where(carriers.c.name == route.carrier)).one_or_none() is None:
        raise NotFound(f"there is no carrier {route.carrier}: make it first, with `ringback carriers set`")
    before = tx.execute(sa.select(routes).where(routes.c.name == route.name)).one_or_none()
    _check_source(before, route.source, f"route {route.name}")
    row = {"definition": _definition(route), "source": route.source, "changed_at_us": now_us}
    if before is not None:
        tx.execute(routes.update().where(routes.c.name == route.name).values(row))
        return
    tx.execute(routes.insert().values({"name": route.name, "is_paused": route.is_paused} | row))


def remove_carrier(tx: Transaction, name: str, *, source: Source = "command") -> None:
    """Forget a carrier that no route leads to. Raises ``InvalidRequest``, ``NotFound``."""
    _changed(tx)
    before = tx.execute(sa.select(carriers).where(carriers.c.name == name)).one_or_none()
    if before is None:
        raise NotFound(f"there is no carrier {name}")
    _check_source(before, source, f"carrier {name}")
    leading = [route.name for route in all_routes(tx) if route.carrier == name]
    if leading:
        raise InvalidRequest(f"routes lead to carrier {name}: remove {', '.join(leading)} first")
    tx.execute(carriers.delete().where(carriers.c.name == name))
    tx.execute(carrier_links.delete().where(carrier_links.c.carrier == name))


def remove_route(tx: Transaction, name: str, *, source: Source = "command") -> None:
    """Forget a route. Raises ``InvalidRequest``, ``NotFound``."""
    _changed(tx)
    before = tx.execute(sa.select(routes).where(routes.c.name == name)).one_or_none()
    if before is None:
        raise NotFound(f"there is no route {name}")
    _check_source(before, source, f"route {name}")
    tx.execute(routes.delete().where(routes.c.name == name))


def pause_carrier(tx: Transaction, name: str, *, is_paused: bool, reason: str | None, now_us: int) -> Carrier:
    """Hold a carrier's messages back, or let them go. Raises ``NotFound``."""
    _write_down_default(tx, now_us=now_us)
    _changed(tx)
    change = {"is_paused": is_paused, "reason": reason if is_paused else None, "changed_at_us": now_us}
    tx.execute(carriers.update().where(carriers.c.name == name).values(change))
    return _one_carrier(tx, name)


def rebind_carrier(tx: Transaction, name: str, *, now_us: int) -> Carrier:
    """Ask every process for new links to a carrier. Raises ``NotFound``."""
    _write_down_default(tx, now_us=now_us)
    _changed(tx)
    tx.execute(carriers.update().where(carriers.c.name == name).values(rebinds=carriers.c.rebinds + 1))
    return _one_carrier(tx, name)


def pause_route(tx: Transaction, name: str, *, is_paused: bool, now_us: int) -> Route:
    """Take a route out of the choice, or back in. Raises ``NotFound``."""
    _changed(tx)
    tx.execute(routes.update().where(routes.c.name == name).values(is_paused=is_paused, changed_at_us=now_us))
    row = tx.execute(sa.select(routes).where(routes.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no route {name}")
    return _route(row)


def _write_down_default(tx: Transaction, *, now_us: int) -> None:
    """Where nothing is configured, store what applies then: whoever changes it, or routes to it, needs a row."""
    if tx.execute(sa.select(carriers.c.name).limit(1)).one_or_none() is None:
        for carrier in RoutingTable().carriers.values():
            put_carrier(tx, msgspec.structs.replace(carrier, source="command"), now_us=now_us)


def sync_file(tx: Transaction, wanted: list[Carrier], routed: list[Route], *, now_us: int) -> None:
    """Make what came from the settings file what it says now; what commands have made stays, unless it says otherwise.

    A database that agrees already is not changed.
    """
    have = [each for each in all_carriers(tx) if each.source == "file"]
    have_routes = [each for each in all_routes(tx) if each.source == "file"]
    known = {each.name: msgspec.structs.replace(each, is_paused=False, reason=None, rebinds=0) for each in have}
    known_routes = {each.name: msgspec.structs.replace(each, is_paused=False) for each in have_routes}
    if known == {each.name: each for each in wanted} and known_routes == {each.name: each for each in routed}:
        return
    for name in known_routes.keys() - {each.name for each in routed}:
        remove_route(tx, name, source="file")
    for carrier in wanted:
        put_carrier(tx, carrier, now_us=now_us)
    for route in routed:
        put_route(tx, route, now_us=now_us)
    for name in known.keys() - {each.name for each in wanted}:
        remove_carrier(tx, name, source="file")


def note_links(tx: Transaction, links: Iterable[Link]) -> None:
    """Store how links are now."""
    for link in links:
        key = (carrier_links.c.carrier == link.carrier) & (carrier_links.c.node == link.node)
        row = {"at_us": link.at_us, "snapshot": link.snapshot}
        if not tx.execute(carrier_links.update().where(key).values(row)).rowcount:
            tx.execute(carrier_links.insert().values({"carrier": link.carrier, "node": link.node} | row))


def links(tx: Transaction, *, since_us: int) -> list[Link]:
    """Return what processes have said of their links since then."""
    query = (
        sa.select(carrier_links)
        .where(carrier_links.c.at_us >= since_us)
        .order_by(carrier_links.c.carrier, carrier_links.c.node)
    )
    return [Link(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def forget_links(tx: Transaction, node: str, *, before_us: int) -> None:
    """Remove what ``node`` said, and what others said before then: they are gone."""
    tx.execute(carrier_links.delete().where((carrier_links.c.node == node) | (carrier_links.c.at_us < before_us)))


def _changed(tx: Transaction) -> None:
    # First of all, and under the row's lock: whoever changes something next reads what this one did.
    if not tx.execute(routing_version.update().values(version=routing_version.c.version + 1)).rowcount:
        tx.execute(routing_version.insert().values(id=1, version=1))


def _one_carrier(tx: Transaction, name: str) -> Carrier:
    row = tx.execute(sa.select(carriers).where(carriers.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no carrier {name}")
    return _carrier(row)


def _check_source(before: Any, source: Source, what: str) -> None:
    if before is not None and before.source == "file" and source != "file":
        raise InvalidRequest(f"{what} is in the settings file: change it there, then restart")


def _carrier(row: Any) -> Carrier:
    return Carrier(
        name=row.name,
        kind=row.kind,
        settings=msgspec.json.decode(row.settings),
        capacity=row.capacity,
        is_paused=row.is_paused,
        reason=row.reason,
        rebinds=row.rebinds,
        source=row.source,
    )


def _definition(route: Route) -> str:
    fields = {name: value for name, value in msgspec.structs.asdict(route).items() if name not in _OWN_COLUMNS}
    return _encode(fields).decode()


def _route(row: Any) -> Route:
    definition = msgspec.json.decode(row.definition)
    own = {"name": row.name, "is_paused": row.is_paused, "source": row.source}
    return msgspec.convert({**definition, **own}, Route)
