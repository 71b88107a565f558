"""What resources share: reading parameters wherever clients put them, and answering."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from ringback.dialect.arguments import Page
from ringback.dialect.records import page_meta
from ringback.model import numbers
from ringback.model.errors import NotFound
from ringback.model.ids import as_uuid
from ringback.runtime import Clock
from ringback.store.accounts import Account
from ringback.store.port import Store
from ringback.store.scope import Scope
from ringback.web.api.auth import Authenticator
from ringback.web.api.messages import decode_fields
from ringback.web.body import read_body
from ringback.web.errors import json_response


class Resource:
    """Base of resources that belong to accounts."""

    def __init__(self, *, store: Store, clock: Clock, authenticator: Authenticator, max_body_bytes: int) -> None:
        self._store = store
        self._clock = clock
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes

    async def _asked(self, request: Request) -> tuple[Account, Scope, dict[str, Any]]:
        """Return who asks, what they see, and the parameters: of the query, and of the body, which wins."""
        account = await self._authenticator.account(request)
        body = await read_body(request, self._max_body_bytes)
        fields = {**request.query_params, **decode_fields(body, request.headers.get("content-type", ""))}
        return account, Scope.of(account), {name: value for name, value in fields.items() if value is not None}


def answer(content: dict[str, Any], status: int = 200) -> Response:
    """Answer with an ``api_id``."""
    return json_response({"api_id": str(uuid4()), **content}, status)


def listed(
    path: str, page: Page, total: int, objects: Sequence[dict[str, Any]], *, absent: str | None = None
) -> Response:
    """Answer a page of a list; ``absent`` stands for a link to a page that there is not."""
    meta = page_meta(path, page, total=total)
    meta |= {name: absent for name in ("next", "previous") if meta[name] is None}
    return answer({"meta": meta, "objects": list(objects)})


def number_in(request: Request, name: str) -> str:
    """Return the number in the path. Raises ``NotFound`` when it is none."""
    number = numbers.digits(request.path_params[name])
    if number is None:
        raise NotFound("not found")
    return number


def uuid_in(request: Request, name: str) -> str:
    """Return the uuid in the path. Raises ``NotFound`` when it is none."""
    uuid = as_uuid(request.path_params[name])
    if uuid is None:
        raise NotFound("not found")
    return uuid
