"""The Replay resource, an addition: sending once more all callbacks of an account that match."""

from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.delivery import replay
from ringback.dialect.times import record_time
from ringback.model.errors import NotFound
from ringback.model.ids import NewId, as_uuid
from ringback.runtime import Clock
from ringback.store import replays
from ringback.store.port import Store
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator
from ringback.web.api.callbacks import MAX_LIMIT, record
from ringback.web.errors import guarded, json_response

ENDED: Final = ("delivered", "given_up", "any")
KNOWN: Final = ("message_uuid", "endpoint", "state", "since", "until", "again", "rate_per_s", "dry_run")


class ReplayApi:
    """Endpoints under ``/v1/Account/{auth_id}/Callback/Replay/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        authenticator: Authenticator,
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form; they come before those with a callback's id in the same place."""
        collection = "/v1/account/{auth_id}/callback/replay/"
        return [
            Route(collection, guarded(self.start), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "{replay_id}/", guarded(self.get), methods=["GET"]),
            Route(collection + "{replay_id}/", guarded(self.cancel), methods=["DELETE"]),
        ]

    async def start(self, request: Request) -> Response:
        """Begin a replay: 202; or, with ``dry_run``, say what it would send: 200."""
        account = await self._authenticator.account(request)
        given = await fields.body_fields(request, self._max_body_bytes, KNOWN)
        wanted = _wanted(given, account.auth_id)
        rate_per_s = fields.number(given, "rate_per_s")
        rate_per_s = replay.DEFAULT_RATE_PER_S if rate_per_s is None else rate_per_s
        now_us = self._clock.now_us()
        if fields.flag(given, "dry_run"):
            seen = await self._store.read(lambda tx: replay.dry_run(tx, wanted, now_us=now_us))
            first = [record(callback) for callback in seen.first]
            counted = _total(seen.total, counted_all=seen.counted_all)
            return json_response({"api_id": str(uuid4()), "dry_run": True, **counted, "first": first})
        begun = await replay.start(
            self._store,
            wanted,
            rate_per_s=rate_per_s,
            account_id=account.auth_id,
            new_id=self._new_id,
            now_us=now_us,
        )
        self._wakeups.signal("replays")
        return json_response({"api_id": str(uuid4()), "message": "replay started", **_record(begun)}, 202)

    async def list(self, request: Request) -> Response:
        """Return replays, newest first; ``next`` is what ``before`` must be for those that follow."""
        account = await self._authenticator.account(request)
        given = request.query_params
        fields.refuse_unknown(given, ("limit", "before"))
        limit = fields.whole(given, "limit", 1, MAX_LIMIT) or 20
        before = given.get("before")
        found = await self._store.read(
            lambda tx: replays.page(tx, account_id=account.auth_id, limit=limit, before=before)
        )
        following = found[-1].id if len(found) == limit else None
        return json_response({"api_id": str(uuid4()), "objects": [_record(each) for each in found], "next": following})

    async def get(self, request: Request) -> Response:
        """Return how far a replay has come."""
        account = await self._authenticator.account(request)
        replay_id = _id(request)
        found = await self._store.read(lambda tx: replays.find(tx, replay_id, account_id=account.auth_id))
        return json_response({"api_id": str(uuid4()), **_record(found)})

    async def cancel(self, request: Request) -> Response:
        """End a replay where it is; what it has sent stays sent."""
        account = await self._authenticator.account(request)
        replay_id = _id(request)
        now_us = self._clock.now_us()
        ended = await self._store.write(
            lambda tx: replay.cancel(tx, replay_id, now_us=now_us, account_id=account.auth_id)
        )
        return json_response({"api_id": str(uuid4()), "message": "replay cancelled", **_record(ended)})


def _wanted(given: fields.Fields, account_id: str) -> Filter:
    state = fields.choice(given, "state", ENDED) or "given_up"
    return Filter(
        account_id=account_id,
        message_uuid=fields.text(given, "message_uuid"),
        endpoint=fields.text(given, "endpoint"),
        state=None if state == "any" else state,
        since_us=fields.time_us(given, "since"),
        until_us=fields.time_us(given, "until"),
        not_resent=not fields.flag(given, "again"),
    )


def _id(request: Request) -> str:
    replay_id = as_uuid(request.path_params["replay_id"])
    if replay_id is None:
        raise NotFound("not found")
    return replay_id


def _total(total: int, *, counted_all: bool) -> dict[str, int | None]:
    return {"total": total if counted_all else None, "total_at_least": total}


def _record(found: Replay) -> dict[str, Any]:
    wanted = found.wanted
    kept = msgspec.structs.asdict(wanted)
    return {
        "id": found.id,
        "state": found.state,
        **_total(found.total, counted_all=found.counted_all),
        "done": found.done,
        "rate_per_s": found.rate_per_s,
        "filter": {
            "message_uuid": kept["message_uuid"],
            "endpoint": kept["endpoint"],
            "state": wanted.state or "any",
            "since": None if wanted.since_us is None else record_time(wanted.since_us),
            "until": None if wanted.until_us is None else record_time(wanted.until_us),
            "again": not wanted.not_resent,
        },
        "created_time": record_time(found.created_at_us),
        "updated_time": record_time(found.updated_at_us),
    }
