"""The VerifiedCallerId resource: numbers of which a code that was sent there is the proof (contract section 6.7)."""

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments, send
from ringback.dialect.times import callback_time
from ringback.messaging.accept import Acceptor
from ringback.model import numbers
from ringback.model.countries import NAMES
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId, as_uuid
from ringback.store import callers, profiles
from ringback.store.accounts import Account
from ringback.store.callers import CallerId, Verification
from ringback.store.port import Transaction
from ringback.web.api.resource import Resource, answer, listed
from ringback.web.errors import guarded
from ringback.web.peers import Peers

VALID_S: Final = callers.VALID_US // 1_000_000
CHANNEL: Final = "sms"


class CallerIdApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/VerifiedCallerId/``."""

    def __init__(
        self,
        *,
        new_id: NewId,
        new_code: Callable[[], str],
        acceptor: Acceptor,
        sender: str,
        peers: Peers,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self._new_id = new_id
        self._new_code = new_code
        self._acceptor = acceptor
        self._sender = sender
        self._peers = peers

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/verifiedcallerid/"
        one = collection + "{number}/"
        return [
            Route(collection, guarded(self.begin), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "verification/{verification_uuid}/", guarded(self.verify), methods=["POST"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.change), methods=["POST"]),
            Route(one, guarded(self.delete), methods=["DELETE"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Send a code to a number."""
        account, _, wanted = await self._asked(request)
        new = await self._wanted(account, wanted)
        code = self._new_code()
        now_us = self._clock.now_us()
        await self._store.write(lambda tx: callers.begin(tx, new, code, now_us=now_us))
        text = f"{code} is your verification code. It is valid for {VALID_S // 60} minutes."
        # Without its text in the log, where others could read the code.
        fields = {"src": self._sender, "dst": new.number, "text": text, "log": "number_only", "message_expiry": VALID_S}
        await self._acceptor.accept(
            account, send.parse(fields), requester_ip=self._peers.of(request), reaches_anybody=True
        )
        message = f"Verification code is sent to number +{new.number} which is valid for {VALID_S // 60} minutes"
        return answer({"message": message, "verification_uuid": new.uuid}, 202)

    async def _wanted(self, account: Account, wanted: arguments.Fields) -> Verification:
        raw = arguments.required(wanted, "phone_number")
        number = numbers.destination(raw)
        if number is None:
            raise InvalidRequest(f"{raw[:64]} is not a valid phone number")
        channel = (arguments.text(wanted, "channel") or CHANNEL).lower()
        if channel != CHANNEL:
            raise InvalidRequest(f"channel {channel[:64]} is not offered here; use {CHANNEL}")
        country = (arguments.text(wanted, "country") or numbers.country(number)).upper()
        if country not in NAMES and country != "ZZ":
            raise InvalidRequest("country parameter must be an ISO 3166 code of two letters")
        now_us = self._clock.now_us()
        return Verification(
            uuid=self._new_id(now_us),
            account_id=account.auth_id,
            number=number,
            alias=arguments.text(wanted, "alias") or "",
            country=country,
            subaccount=await self._subaccount(account, wanted) or "",
            expires_at_us=now_us + callers.VALID_US,
        )

    async def _subaccount(self, account: Account, wanted: arguments.Fields) -> str | None:
        auth_id = arguments.text(wanted, "subaccount")
        if auth_id is None:
            return None
        if not await self._store.read(lambda tx: profiles.is_subaccount_of(tx, auth_id, account.auth_id)):
            raise InvalidRequest("subaccount parameter must be the auth id of a subaccount of yours")
        return auth_id

    async def verify(self, request: Request) -> Response:
        """Take the code."""
        account, _, fields = await self._asked(request)
        uuid = as_uuid(request.path_params["verification_uuid"])
        if uuid is None:
            raise NotFound("not found")
        code = arguments.required(fields, "otp")
        now_us = self._clock.now_us()
        verified = await self._store.write(lambda tx: callers.verify(tx, account.auth_id, uuid, code, now_us=now_us))
        if verified is None:
            raise InvalidRequest(
                f"otp parameter is not the code that was sent; after {callers.MOST_TRIES} wrong ones send a new code"
            )
        return answer({**_record(verified), "channel": CHANNEL})

    async def list(self, request: Request) -> Response:
        """Return a page of verified numbers, newest first."""
        account, _, fields = await self._asked(request)
        page = arguments.page(fields)
        equal = {
            name: value
            for name in ("country", "subaccount", "alias")
            if (value := arguments.text(fields, name)) is not None
        }
        if "country" in equal:
            equal["country"] = equal["country"].upper()

        def work(tx: Transaction) -> tuple[int, list[CallerId]]:
            return callers.page(tx, account.auth_id, equal, limit=page.limit, offset=page.offset)

        total, found = await self._store.read(work)
        path = f"/v1/Account/{account.auth_id}/VerifiedCallerId/"
        return listed(path, page, total, [_record(each) for each in found])

    async def get(self, request: Request) -> Response:
        """Return a verified number."""
        account, _, _ = await self._asked(request)
        number = _number(request)
        found = await self._store.read(lambda tx: callers.find(tx, account.auth_id, number))
        return answer(_record(found))

    async def change(self, request: Request) -> Response:
        """Change a verified number's alias or subaccount."""
        account, _, wanted = await self._asked(request)
        number = _number(request)
        asked = {"alias": arguments.text(wanted, "alias"), "subaccount": await self._subaccount(account, wanted)}
        changes = {name: value for name, value in asked.items() if value is not None}
        if not changes:
            raise InvalidRequest("nothing to change: give one of alias, subaccount")
        now_us = self._clock.now_us()
        changed = await self._store.write(
            lambda tx: callers.change(tx, account.auth_id, number, changes, now_us=now_us)
        )
        return answer(_record(changed), 202)

    async def delete(self, request: Request) -> Response:
        """Forget a verified number."""
        account, _, _ = await self._asked(request)
        number = _number(request)
        await self._store.write(lambda tx: callers.delete(tx, account.auth_id, number))
        return Response(status_code=204)


def _number(request: Request) -> str:
    number = numbers.destination(request.path_params["number"])
    if number is None:
        raise NotFound("not found")
    return number


def _record(found: CallerId) -> dict[str, Any]:
    return {
        "phone_number": f"+{found.number}",
        "alias": found.alias,
        "country": found.country,
        "subaccount": found.subaccount,
        "verification_uuid": found.verification_uuid,
        "created_at": _time(found.created_at_us),
        "modified_at": _time(found.modified_at_us),
        "resource_uri": f"/v1/Account/{found.account_id}/VerifiedCallerId/{found.number}",
    }


def _time(at_us: int) -> str:
    """Write a time by RFC 3339."""
    return callback_time(at_us).replace(" ", "T") + "Z"
