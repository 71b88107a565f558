"""The Number and PhoneNumber resources: what an account has, and what it can rent (contract sections 6.2, 6.3)."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments
from ringback.dialect import numbering as dialect
from ringback.dialect.applications import app_id_in
from ringback.model.errors import NotFound
from ringback.model.inventory import TYPES, new_number
from ringback.store import applications, numbers
from ringback.store.port import Transaction
from ringback.store.scope import Scope, subaccount
from ringback.web.api.resource import Resource, answer, listed, number_in
from ringback.web.errors import guarded


class NumberApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/Number/`` and ``.../PhoneNumber/``."""

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        mine = "/v1/account/{auth_id}/number/"
        for_rent = "/v1/account/{auth_id}/phonenumber/"
        return [
            Route(mine, guarded(self.list), methods=["GET"]),
            Route(mine, guarded(self.bring), methods=["POST"]),
            Route(mine + "{number}/", guarded(self.get), methods=["GET"]),
            Route(mine + "{number}/", guarded(self.update), methods=["POST"]),
            Route(mine + "{number}/", guarded(self.unrent), methods=["DELETE"]),
            Route(for_rent, guarded(self.search), methods=["GET"]),
            Route(for_rent + "{number}/", guarded(self.rent), methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return a page of the account's numbers, by number."""
        account, scope, fields = await self._asked(request)
        page, now_us = arguments.page(fields), self._clock.now_us()
        wanted = numbers.Filter(
            type=dialect.type_(fields),
            prefix=dialect.prefix(fields),
            subaccount_id=arguments.subaccount(fields) or None,
            alias=arguments.text(fields, "alias"),
            services=dialect.services(fields),
            cnam_lookup=arguments.choice(fields, "cnam_lookup", dialect.LOOKUPS),
        )
        keeps = dialect.keeper(fields, now_us=now_us)
        total, found = await self._store.read(
            lambda tx: numbers.page(tx, scope, wanted, limit=page.limit, offset=page.offset, keeps=keeps)
        )
        path = f"/v1/Account/{account.auth_id}/Number/"
        return listed(path, page, total, [dialect.record(each, account.auth_id, now_us=now_us) for each in found])

    async def get(self, request: Request) -> Response:
        """Return one of the account's numbers."""
        account, scope, _ = await self._asked(request)
        number = number_in(request, "number")
        found = await self._store.read(lambda tx: numbers.find(tx, scope, number))
        if found is None:
            raise NotFound("not found")
        return answer(dialect.record(found, account.auth_id, now_us=self._clock.now_us()))

    async def bring(self, request: Request) -> Response:
        """Add numbers that the account has from a carrier of its own."""
        _, scope, fields = await self._asked(request)
        carrier, region = arguments.required(fields, "carrier"), arguments.required(fields, "region")
        type_ = arguments.choice(fields, "number_type", TYPES) or ""
        own = [
            new_number(number, type_=type_, carrier=carrier, region=region) for number in dialect.own_numbers(fields)
        ]
        wanted_for = arguments.subaccount(fields) or None
        app_id = arguments.text(fields, "app_id")
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> None:
            terms = _terms(tx, scope, app_id)
            theirs = Scope(scope.account_id, subaccount(tx, scope, wanted_for))
            numbers.bring(tx, theirs, own, terms=terms, now_us=now_us)

        await self._store.write(work)
        return answer({"message": "changed"}, 202)

    async def update(self, request: Request) -> Response:
        """Change what is given of a number; an empty text takes application, subaccount or alias away."""
        _, scope, fields = await self._asked(request)
        number = number_in(request, "number")
        given = dialect.changes(fields)
        app_id, wanted_for = arguments.clearable(fields, "app_id"), arguments.subaccount(fields)

        def work(tx: Transaction) -> None:
            changes = dict(given)
            if app_id is not None:
                changes["app_id"] = applications.bindable(tx, scope, app_id_in(app_id)) if app_id else None
            if wanted_for is not None:
                changes["subaccount_id"] = subaccount(tx, scope, wanted_for or None)
            if not numbers.update(tx, scope, number, changes):
                raise NotFound("not found")

        await self._store.write(work)
        return answer({"message": "changed"}, 202)

    async def unrent(self, request: Request) -> Response:
        """Give a number up."""
        _, scope, _ = await self._asked(request)
        number = number_in(request, "number")

        def work(tx: Transaction) -> None:
            if not numbers.unrent(tx, scope, number):
                raise NotFound("not found")

        await self._store.write(work)
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        """Return a page of the numbers that can be rented in a country."""
        account, _, fields = await self._asked(request)
        page, country = arguments.page(fields), dialect.country(fields)
        wanted = numbers.Search(
            country=country,
            type=dialect.type_(fields),
            prefix=dialect.search_prefix(fields, country),
            region=arguments.text(fields, "region"),
            city=arguments.text(fields, "city"),
            rate_center=arguments.text(fields, "rate_center"),
            lata=arguments.whole(fields, "lata", 0, 99_999),
            services=dialect.services(fields),
        )
        total, found = await self._store.read(
            lambda tx: numbers.for_rent(tx, wanted, limit=page.limit, offset=page.offset)
        )
        path = f"/v1/Account/{account.auth_id}/PhoneNumber/"
        return listed(path, page, total, [dialect.for_rent_record(each, account.auth_id) for each in found])

    async def rent(self, request: Request) -> Response:
        """Rent a number; 201 when it is the account's."""
        _, scope, fields = await self._asked(request)
        number = number_in(request, "number")
        app_id = arguments.text(fields, "app_id")
        given = {
            "cnam_lookup": arguments.choice(fields, "cnam_lookup", dialect.LOOKUPS),
            "compliance_application_id": arguments.text(fields, "compliance_application_id"),
        }
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> None:
            numbers.rent(tx, scope, number, terms={**given, **_terms(tx, scope, app_id)}, now_us=now_us)

        await self._store.write(work)
        rented = [{"number": number, "status": "Success"}]
        return answer({"message": "created", "status": "fulfilled", "numbers": rented}, 201)


def _terms(tx: Transaction, scope: Scope, app_id: str | None) -> Mapping[str, Any]:
    """Return the application of a number that is new: the one named, else the default one."""
    if app_id is None:
        return {"app_id": applications.default_for_numbers(tx, scope)}
    return {"app_id": applications.bindable(tx, scope, app_id_in(app_id))}
