"""The Callback resource, an addition: what an account is owed, every attempt, and sending one once more."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect.times import record_time
from ringback.egress import without_internal_addresses
from ringback.model.errors import NotFound
from ringback.model.ids import NewId, as_uuid
from ringback.model.message import Message
from ringback.model.redaction import redactor
from ringback.model.retry import stored_plan
from ringback.runtime import Clock
from ringback.store import messages, replies, resends
from ringback.store.callbacks import WITHOUT_MESSAGE, Attempt, Callback
from ringback.store.port import Store, Transaction
from ringback.store.replies import Reply
from ringback.store.resends import Filter
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator
from ringback.web.errors import guarded, json_response

MAX_LIMIT: Final = 100
STATES: Final = ("pending", "delivered", "given_up")
KNOWN: Final = frozenset({"message_uuid", "endpoint", "state", "since", "until", "limit", "before"})


class CallbackApi:
    """Endpoints under ``/v1/Account/{auth_id}/Callback/``."""

    def __init__(
        self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, authenticator: Authenticator
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/callback/"
        return [
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "{callback_id}/", guarded(self.get), methods=["GET"]),
            Route(collection + "{callback_id}/resend/", guarded(self.resend), methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return callbacks, newest first; ``next`` is what ``before`` must be for those that follow."""
        account = await self._authenticator.account(request)
        wanted, limit, before = _query(request.query_params, account.auth_id)

        found, goes_on_before = await self._store.read(
            lambda tx: resends.listed(tx, wanted, limit=limit, before=before)
        )
        return json_response(
            {
                "api_id": str(uuid4()),
                "objects": [record(callback) for callback in found],
                "next": goes_on_before,
            }
        )

    async def get(self, request: Request) -> Response:
        """Return one callback with its attempts."""
        account = await self._authenticator.account(request)
        callback_id = _id(request)

        def work(tx: Transaction) -> tuple[Callback, list[Attempt], Message | None, Reply | None]:
            callback, made = resends.find(tx, callback_id, account_id=account.auth_id)
            message = messages.find(tx, None, callback.message_uuid)
            return callback, made, message, replies.of_callbacks(tx, [callback_id]).get(callback_id)

        callback, made, message, reply = await self._store.read(work)
        redact = redactor(message)
        answer = {
            "api_id": str(uuid4()),
            **record(callback, redact),
            "attempts": [_attempt(attempt, callback, redact) for attempt in made],
            "reply": None if reply is None else _reply(reply),
        }
        return json_response(answer)

    async def resend(self, request: Request) -> Response:
        """Send one once more, now; 202 with the id of the new one."""
        account = await self._authenticator.account(request)
        callback_id = _id(request)
        now_us = self._clock.now_us()

        def work(tx: Any) -> str:
            resends.find(tx, callback_id, account_id=account.auth_id)
            return resends.resend(tx, [callback_id], new_id=self._new_id, now_us=now_us)[0]

        again = await self._store.write(work)
        self._wakeups.signal("callbacks")
        return json_response({"api_id": str(uuid4()), "message": "callback queued", "id": again}, 202)


def _query(given: Mapping[str, str], account_id: str) -> tuple[Filter, int, str | None]:
    fields.refuse_unknown(given, KNOWN)
    wanted = Filter(
        account_id=account_id,
        message_uuid=given.get("message_uuid"),
        endpoint=given.get("endpoint"),
        state=fields.choice(given, "state", STATES),
        since_us=fields.time_us(given, "since"),
        until_us=fields.time_us(given, "until"),
    )
    return wanted, fields.whole(given, "limit", 1, MAX_LIMIT) or 20, given.get("before")


def _id(request: Request) -> str:
    callback_id = as_uuid(request.path_params["callback_id"])
    if callback_id is None:
        raise NotFound("not found")
    return callback_id


def record(callback: Callback, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return a callback as the API shows it, ``redact`` hiding what may not be shown."""
    # Without the parameters: they name the other party, whatever the message's log says.
    return {
        "id": callback.id,
        "kind": callback.kind,
        "message_uuid": None if callback.kind in WITHOUT_MESSAGE else callback.message_uuid,
        "sequence": callback.sequence,
        "url": redact(callback.url),
        "method": callback.method,
        "endpoint": redact(callback.endpoint),
        "state": callback.state,
        "created_time": record_time(callback.created_at_us),
        "done_time": None if callback.done_at_us is None else record_time(callback.done_at_us),
        "resend_of": callback.resend_of,
        "retry_delays_s": None if callback.retry_delays is None else stored_plan(callback.retry_delays).delays_s,
    }


def _reply(reply: Reply) -> dict[str, Any]:
    """Show what was made of the XML that the callback was answered with."""
    return {
        "state": reply.state,
        "detail": reply.detail,
        "time": record_time(reply.at_us),
        "parts": [
            {
                "element": part.element,
                "state": part.state,
                "detail": part.detail,
                "message_uuids": part.message_uuids,
                "invalid_number": part.invalid,
            }
            for part in reply.parts
        ],
    }


def _attempt(attempt: Attempt, callback: Callback, redact: Callable[[str], str]) -> dict[str, Any]:
    try:
        body = {"text": redact(attempt.response_body.decode())}
    except UnicodeDecodeError:
        # As bytes, each of which is a character here.
        shown = redact(attempt.response_body.decode("latin-1")).encode("latin-1")
        body = {"base64": base64.b64encode(shown).decode()}
    kept = msgspec.structs.asdict(attempt)
    return {
        "number": attempt.number,
        "planned_time": record_time(attempt.planned_at_us),
        "started_time": record_time(attempt.started_at_us),
        "duration_ms": attempt.duration_us / 1000,
        "outcome": attempt.outcome,
        "http_status": attempt.http_status,
        "error": attempt.error and redact(without_internal_addresses(attempt.error, url=callback.url)),
        "request_headers": json.loads(redact(kept["request_headers"])),
        "response_headers": json.loads(redact(kept["response_headers"])),
        "response_body": body,
    }
