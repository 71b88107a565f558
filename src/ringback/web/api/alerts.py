"""Delivery alerts for the operator's programs, an addition: what the page of alerts does, over HTTP."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from ringback.analytics.alerting import acknowledge, mute, resolve, send_test, unmute
from ringback.dialect.delivery_alerts import alert_record
from ringback.model.alerts import Alert, Kind, State
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId
from ringback.runtime import Clock
from ringback.settings_analytics import AlertsSettings
from ringback.store import alerts
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.resource import answer
from ringback.web.errors import guarded
from ringback.web.operator import USER, OperatorDoor

MOST: Final = 1_000
USUAL: Final = 100
MAX_NOTE: Final = 500
MAX_HOURS: Final = 8_760
NO_ADDRESS: Final = "nothing was sent: set alerts.url and alerts.account"


class AlertsApi:
    """Endpoints under ``/v1/Operator/Alert/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        settings: AlertsSettings,
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._max_body_bytes = max_body_bytes
        self._door = OperatorDoor(store)

    def routes(self) -> list[HttpRoute]:
        """Return the routes, in canonical form."""
        works: dict[tuple[str, str], Any] = {
            ("GET", ""): self.list_alerts,
            ("POST", "test/"): self.test,
            ("GET", "{alert_id}/"): self.get,
            ("POST", "{alert_id}/acknowledge/"): self.acknowledge,
            ("POST", "{alert_id}/mute/"): self.mute,
            ("POST", "{alert_id}/unmute/"): self.unmute,
            ("POST", "{alert_id}/resolve/"): self.resolve,
        }
        return [
            HttpRoute(f"/v1/operator/alert/{path}", guarded(endpoint), methods=[method])
            for (method, path), endpoint in works.items()
        ]

    async def list_alerts(self, request: Request) -> Response:
        """List alerts, newest first: ``state``, ``kind``, ``limit``."""
        await self._door.check(request)
        given = request.query_params
        state = fields.choice(given, "state", [each.value for each in State])
        kind = fields.choice(given, "kind", [each.value for each in Kind])
        limit = fields.whole(given, "limit", 1, MOST) or USUAL
        work = partial(
            alerts.page, state=State(state) if state else None, kind=Kind(kind) if kind else None, limit=limit
        )
        found = await self._store.read(work)
        return answer({"objects": [alert_record(each) for each in found]})

    async def get(self, request: Request) -> Response:
        """Return one alert with its history."""
        await self._door.check(request)
        id_ = request.path_params["alert_id"]

        def read(tx: Transaction) -> dict[str, Any]:
            found = alerts.find(tx, id_)
            if found is None:
                raise NotFound("not found")
            notes = [
                {"at_us": each.at_us, "what": each.what, "by": each.by, "detail": each.detail}
                for each in alerts.notes(tx, id_)
            ]
            return alert_record(found) | {"history": notes}

        return answer(await self._store.read(read))

    async def acknowledge(self, request: Request) -> Response:
        """Note that somebody sees to it."""
        note, now_us = await self._note(request, ("note",)), self._clock.now_us()
        return await self._change(request, lambda tx, id_: acknowledge(tx, id_, by=USER, note=note, now_us=now_us))

    async def mute(self, request: Request) -> Response:
        """Send and raise nothing of the same for some hours."""
        await self._door.check(request)
        given = await fields.body_fields(request, self._max_body_bytes, ("note", "hours"))
        hours = fields.whole(given, "hours", 1, MAX_HOURS) or 24
        note, now_us = (fields.text(given, "note") or "")[:MAX_NOTE], self._clock.now_us()
        until_us = now_us + hours * 3_600_000_000
        return await self._change(
            request, lambda tx, id_: mute(tx, id_, by=USER, note=note, until_us=until_us, now_us=now_us)
        )

    async def unmute(self, request: Request) -> Response:
        """End its being muted."""
        await self._note(request, ())
        now_us = self._clock.now_us()
        return await self._change(request, lambda tx, id_: unmute(tx, id_, by=USER, now_us=now_us))

    async def resolve(self, request: Request) -> Response:
        """End it by hand."""
        note, now_us = await self._note(request, ("note",)), self._clock.now_us()

        def work(tx: Transaction, id_: str) -> Alert:
            return resolve(tx, id_, by=USER, now_us=now_us, settings=self._settings, new_id=self._new_id, note=note)

        return await self._change(request, work)

    async def test(self, request: Request) -> Response:
        """Send a test webhook."""
        await self._note(request, ())
        now_us = self._clock.now_us()
        owed = await self._store.write(
            lambda tx: send_test(tx, settings=self._settings, now_us=now_us, new_id=self._new_id)
        )
        if owed is None:
            raise InvalidRequest(NO_ADDRESS)
        self._wakeups.signal("callbacks")
        return answer({"callback_id": owed.id, "url": owed.url}, 202)

    async def _note(self, request: Request, names: tuple[str, ...]) -> str:
        await self._door.check(request)
        given = await fields.body_fields(request, self._max_body_bytes, names)
        return (fields.text(given, "note") or "")[:MAX_NOTE] if names else ""

    async def _change(self, request: Request, work: Callable[[Transaction, str], Alert]) -> Response:
        id_ = request.path_params["alert_id"]
        changed = await self._store.write(lambda tx: work(tx, id_))
        self._wakeups.signal("callbacks")
        return answer(alert_record(changed))
