"""The Application resource (contract section 6.1)."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import applications as dialect
from ringback.dialect import arguments
from ringback.model.application import Application
from ringback.model.errors import NotFound
from ringback.store import applications
from ringback.store.port import Transaction
from ringback.store.scope import subaccount
from ringback.web.api.resource import Resource, answer, listed
from ringback.web.errors import guarded


class ApplicationApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/Application/``."""

    def __init__(self, *, new_app_id: Callable[[], str], **shared: Any) -> None:
        super().__init__(**shared)
        self._new_app_id = new_app_id

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/application/"
        one = collection + "{app_id}/"
        return [
            Route(collection, guarded(self.create), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.update), methods=["POST"]),
            Route(one, guarded(self.delete), methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make an application; 201 with its id."""
        _, scope, fields = await self._asked(request)
        name, settings = dialect.name(fields), dialect.settings(fields)
        wanted_for = arguments.subaccount(fields) or None
        app_id, now_us = self._new_app_id(), self._clock.now_us()

        def work(tx: Transaction) -> None:
            new = Application(
                app_id=app_id,
                account_id=scope.account_id,
                subaccount_id=subaccount(tx, scope, wanted_for),
                name=name,
                created_at_us=now_us,
                **settings,
            )
            applications.create(tx, new)

        await self._store.write(work)
        return answer({"app_id": app_id, "message": "created"}, 201)

    async def list(self, request: Request) -> Response:
        """Return a page of applications, newest first."""
        account, scope, fields = await self._asked(request)
        page = arguments.page(fields)
        wanted = applications.Filter(
            subaccount_id=arguments.subaccount(fields) or None, name_prefix=arguments.text(fields, "app_name")
        )
        total, found = await self._store.read(
            lambda tx: applications.page(tx, scope, wanted, limit=page.limit, offset=page.offset)
        )
        path = f"/v1/Account/{account.auth_id}/Application/"
        return listed(path, page, total, [dialect.record(each, account.auth_id) for each in found])

    async def get(self, request: Request) -> Response:
        """Return one application."""
        account, scope, _ = await self._asked(request)
        app_id = _app_id(request)
        found = await self._store.read(lambda tx: applications.find(tx, scope, app_id))
        if found is None:
            raise NotFound("not found")
        return answer(dialect.record(found, account.auth_id))

    async def update(self, request: Request) -> Response:
        """Change what is given, and nothing else."""
        _, scope, fields = await self._asked(request)
        app_id = _app_id(request)
        settings = dialect.settings(fields)
        wanted_for = arguments.subaccount(fields)

        def work(tx: Transaction) -> None:
            changes = dict(settings)
            if wanted_for is not None:
                changes["subaccount_id"] = subaccount(tx, scope, wanted_for or None)
            if not applications.update(tx, scope, app_id, changes):
                raise NotFound("not found")

        await self._store.write(work)
        return answer({"message": "changed"}, 202)

    async def delete(self, request: Request) -> Response:
        """Remove an application; numbers and powerpacks that are bound to it are bound to none."""
        _, scope, fields = await self._asked(request)
        app_id = _app_id(request)
        # What it would decide about is not here: endpoints of telephones.
        arguments.flag(fields, "cascade")
        successor = arguments.text(fields, "new_endpoint_application")

        def work(tx: Transaction) -> None:
            if successor is not None:
                applications.bindable(tx, scope, dialect.app_id_in(successor))
            if not applications.delete(tx, scope, app_id):
                raise NotFound("not found")

        await self._store.write(work)
        return Response(status_code=204)


def _app_id(request: Request) -> str:
    app_id: str = request.path_params["app_id"]
    if not (app_id.isascii() and app_id.isdigit()):
        raise NotFound("not found")
    return app_id
