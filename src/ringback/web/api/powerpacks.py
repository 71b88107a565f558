"""The Powerpack and NumberPool resources (contract section 6.4)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments
from ringback.dialect import powerpacks as dialect
from ringback.dialect.applications import app_id_in
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId
from ringback.model.inventory import SHORTCODE, Number
from ringback.model.powerpack import MMS, SMS, Powerpack
from ringback.store import applications, numbers, powerpacks
from ringback.store.port import Transaction
from ringback.store.powerpacks import PoolFilter
from ringback.store.scope import Scope
from ringback.web.api.resource import Resource, answer, listed, number_in, uuid_in
from ringback.web.errors import guarded

KINDS = {"number": "Number", "tollfree": "Tollfree", SHORTCODE: "Shortcode"}
"""Parts of a pool, and how their paths are written."""


class PowerpackApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/Powerpack/``."""

    def __init__(self, *, new_id: NewId, **shared: Any) -> None:
        super().__init__(**shared)
        self._new_id = new_id

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/powerpack/"
        one = collection + "{uuid}/"
        return [
            Route(collection, guarded(self.create), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.update), methods=["POST"]),
            Route(one, guarded(self.delete), methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make a powerpack with an empty pool; 201 with the powerpack."""
        account, scope, fields = await self._asked(request)
        settings = {"sticky_sender": True, "local_connect": True, "priorities": (), **dialect.settings(fields)}
        if "name" not in settings:
            raise InvalidRequest("name parameter is missing")
        app_id = arguments.text(fields, "application_id")
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> Powerpack:
            new = Powerpack(
                uuid=self._new_id(now_us),
                account_id=scope.account_id,
                subaccount_id=scope.subaccount_id,
                app_id=applications.bindable(tx, scope, app_id_in(app_id)) if app_id else None,
                created_at_us=now_us,
                **settings,
            )
            powerpacks.create(tx, new)
            return new

        return answer(dialect.record(await self._store.write(work), account.auth_id), 201)

    async def list(self, request: Request) -> Response:
        """Return a page of powerpacks, newest first."""
        account, scope, fields = await self._asked(request)
        page, service = arguments.page(fields), arguments.choice(fields, "service", dialect.SERVICES)
        total, found = await self._store.read(
            lambda tx: powerpacks.page(tx, scope, service=service, limit=page.limit, offset=page.offset)
        )
        path = f"/v1/Account/{account.auth_id}/Powerpack/"
        return listed(path, page, total, [dialect.record(each, account.auth_id) for each in found], absent="")

    async def get(self, request: Request) -> Response:
        """Return one powerpack."""
        account, scope, _ = await self._asked(request)
        uuid = uuid_in(request, "uuid")
        found = await self._store.read(lambda tx: powerpacks.find(tx, scope, uuid))
        if found is None:
            raise NotFound("not found")
        return answer(dialect.record(found, account.auth_id))

    async def update(self, request: Request) -> Response:
        """Change what is given; 202 with the powerpack as it is then."""
        account, scope, fields = await self._asked(request)
        uuid = uuid_in(request, "uuid")
        settings = dialect.settings(fields)
        app_id = arguments.clearable(fields, "application_id")

        def work(tx: Transaction) -> Powerpack:
            changes = dict(settings)
            if app_id is not None:
                changes["app_id"] = applications.bindable(tx, scope, app_id_in(app_id)) if app_id else None
            found = powerpacks.update(tx, scope, uuid, changes)
            if found is None:
                raise NotFound("not found")
            return found

        return answer(dialect.record(await self._store.write(work), account.auth_id), 202)

    async def delete(self, request: Request) -> Response:
        """Remove a powerpack; its numbers stay the account's, unless they are given up with it."""
        _, scope, fields = await self._asked(request)
        uuid = uuid_in(request, "uuid")
        unrents = bool(arguments.flag(fields, "unrent_numbers"))

        def work(tx: Transaction) -> None:
            if not powerpacks.delete(tx, scope, uuid, unrents=unrents):
                raise NotFound("not found")

        await self._store.write(work)
        return answer({"response": "success"})


class NumberPoolApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/NumberPool/{pool}/``: ``Number``, ``Tollfree`` and ``Shortcode``."""

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/numberpool/{pool}/{kind}/"
        one = collection + "{number}/"
        return [
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.add), methods=["POST"]),
            Route(one, guarded(self.remove), methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return a page of a pool's numbers, by number."""
        account, scope, fields = await self._asked(request)
        uuid, kind = _place(request)
        page, country = arguments.page(fields), dialect.pool_country(fields)
        wanted = PoolFilter(
            kind=kind,
            prefixes=dialect.prefixes(fields, country),
            country=country,
            type=dialect.pool_type(fields),
            service=arguments.choice(fields, "service", dialect.SERVICES),
        )

        def work(tx: Transaction) -> tuple[int, list[Number]]:
            _powerpack(tx, scope, uuid)
            return powerpacks.pool_page(tx, uuid, wanted, limit=page.limit, offset=page.offset)

        total, found = await self._store.read(work)
        path = f"/v1/Account/{account.auth_id}/NumberPool/{uuid}/{KINDS[kind]}/"
        return listed(path, page, total, [dialect.pool_record(each, account.auth_id) for each in found], absent="")

    async def get(self, request: Request) -> Response:
        """Return one number of a pool."""
        account, scope, _ = await self._asked(request)
        uuid, kind = _place(request)
        number = number_in(request, "number")

        def work(tx: Transaction) -> Number:
            _powerpack(tx, scope, uuid)
            return _pooled(tx, uuid, kind, number)

        return answer(dialect.pool_record(await self._store.read(work), account.auth_id))

    async def add(self, request: Request) -> Response:
        """Put a number of the account into the pool; with ``rent`` one that is for rent, which is rented for it."""
        account, scope, fields = await self._asked(request)
        uuid, kind = _place(request)
        number = number_in(request, "number")
        rents = bool(arguments.flag(fields, "rent"))
        service = arguments.choice(fields, "service", dialect.SERVICES)
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> Number:
            terms = {"app_id": applications.default_for_numbers(tx, scope) if rents else None}
            _powerpack(tx, scope, uuid, lock=True)
            if rents and numbers.find(tx, scope, number) is None:
                numbers.rent(tx, scope, number, terms=terms, now_us=now_us)
            found = numbers.find(tx, scope, number)
            if found is None:
                raise NotFound("not found")
            _check(found, kind, service)
            use = service or (MMS if found.mms_enabled else SMS)
            powerpacks.put_in(tx, scope, uuid, found, service=use, now_us=now_us)
            return _pooled(tx, uuid, kind, number)

        return answer(dialect.pool_record(await self._store.write(work), account.auth_id), 201)

    async def remove(self, request: Request) -> Response:
        """Take a number out of the pool; with ``unrent`` it is given up."""
        _, scope, fields = await self._asked(request)
        uuid, kind = _place(request)
        number = number_in(request, "number")
        unrents = bool(arguments.flag(fields, "unrent"))

        def work(tx: Transaction) -> None:
            _powerpack(tx, scope, uuid, lock=True)
            _pooled(tx, uuid, kind, number)
            powerpacks.take_out(tx, uuid, number)
            if unrents:
                numbers.unrent(tx, scope, number)

        await self._store.write(work)
        return answer({"response": "success"})


def _place(request: Request) -> tuple[str, str]:
    kind = request.path_params["kind"]
    if kind not in KINDS:
        raise NotFound("not found")
    return uuid_in(request, "pool"), kind


def _powerpack(tx: Transaction, scope: Scope, uuid: str, *, lock: bool = False) -> Powerpack:
    found = powerpacks.find(tx, scope, uuid, lock=lock)
    if found is None:
        raise NotFound("not found")
    return found


def _pooled(tx: Transaction, uuid: str, kind: str, number: str) -> Number:
    found = powerpacks.in_pool(tx, uuid, kind, number)
    if found is None:
        raise NotFound("not found")
    return found


def _check(number: Number, kind: str, service: str | None) -> None:
    fits = number.type != SHORTCODE if kind == "number" else number.type == kind
    if not fits:
        right = KINDS[number.type if number.type in KINDS else "number"]
        raise InvalidRequest(f"{number.number} is not a {KINDS[kind]}: add it under {right}")
    if not number.sms_enabled:
        raise InvalidRequest(f"{number.number} is not an SMS enabled phone number")
    if service == MMS and not number.mms_enabled:
        raise InvalidRequest(f"{number.number} is not an MMS enabled phone number")
