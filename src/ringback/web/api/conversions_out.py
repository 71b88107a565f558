"""Conversions for programs: ``POST /conversions`` has them reported to a source's provider, ``GET`` says what became of
them. An account may do so for the sources that name it in ``account`` or ``auth_id``."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.model.errors import InvalidRequest
from ringback.receiver import conversions, reader
from ringback.runtime import Clock
from ringback.settings import SourceSettings
from ringback.store import conversions_out
from ringback.store.conversions_out import STATES, NewConversion
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.auth import Authenticator
from ringback.web.api.events import MOST, USUAL, cursor_of, whole_of
from ringback.web.api.messages import decode_fields
from ringback.web.body import read_body
from ringback.web.errors import guarded, json_response


class ConversionOutApi:
    """The endpoint ``/conversions``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        authenticator: Authenticator,
        sources: Mapping[str, SourceSettings],
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._sources = sources
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/conversions", guarded(self.report), methods=["POST"]),
            Route("/conversions", guarded(self.page), methods=["GET"]),
        ]

    async def report(self, request: Request) -> Response:
        """Take in one conversion, or a list of them, all or none; 202 when they are on disk."""
        sources = await self._own(request)
        given = decode_fields(await read_body(request, self._max_body_bytes), request.headers.get("content-type", ""))
        now_us = self._clock.now_us()
        said = _several(given, sources, now_us) if "conversions" in given else [_one(given, sources, now_us)]
        taken = await self._store.write(partial(conversions_out.add, said=said, now_us=now_us))
        self._wakeups.signal("conversions")
        told = [
            {"source": each.source, "message_uuid": each.message_uuid, "value": each.value, "taken": how}
            for each, how in zip(said, taken, strict=True)
        ]
        return json_response({"api_id": str(uuid4()), "conversions": told}, 202)

    async def page(self, request: Request) -> Response:
        """Give conversions after a cursor, oldest first."""
        sources = await self._own(request)
        query = request.query_params
        state = query.get("state")
        if state is not None and state not in STATES:
            raise InvalidRequest(f"state parameter must be one of {', '.join(STATES)}")
        after = cursor_of(query.get("after", "0"))
        limit = whole_of(query.get("limit", str(USUAL)), "limit", most=MOST)
        found = await self._store.read(
            lambda tx: conversions_out.page(
                tx,
                sources=sorted(sources),
                source=query.get("source"),
                message_uuid=query.get("message_uuid"),
                state=state,
                after=after,
                limit=limit + 1,
            )
        )
        shown = [conversions.shown(each) for each in found[:limit]]
        return json_response(
            {
                "api_id": str(uuid4()),
                "conversions": shown,
                "after": shown[-1]["id"] if shown else after,
                "has_more": len(found) > limit,
            }
        )

    async def _own(self, request: Request) -> dict[str, SourceSettings]:
        account = await self._authenticator.caller(request)
        return {name: self._sources[name] for name in reader.sources_of(account.auth_id, self._sources)}


def _one(given: Mapping[str, Any], sources: Mapping[str, SourceSettings], now_us: int) -> NewConversion:
    return conversions.conversion_of(given, sources, now_us=now_us)


def _several(given: Mapping[str, Any], sources: Mapping[str, SourceSettings], now_us: int) -> list[NewConversion]:
    entries = given["conversions"]
    if not isinstance(entries, list) or not 0 < len(entries) <= conversions.MOST:
        raise InvalidRequest(f"conversions must be a list of 1 to {conversions.MOST} conversions")
    said = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InvalidRequest(f"conversions[{number}]: must be a JSON object")
        try:
            said.append(_one({"source": given.get("source"), **entry}, sources, now_us))
        except InvalidRequest as error:
            raise InvalidRequest(f"conversions[{number}]: {error}") from error
    return said
