"""Questions in SQL by the operator's programs, an addition; docs/ask.md says what they may do."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.analytics.answers import as_object
from ringback.analytics.asked import LONGEST
from ringback.analytics.engine import Engine, Limits
from ringback.model.errors import AnalyticsAway, InvalidRequest, QuestionRefused, QuestionTooLong
from ringback.settings import Settings
from ringback.store.port import Store
from ringback.web.api import fields
from ringback.web.api.resource import answer
from ringback.web.errors import error_response, guarded
from ringback.web.operator import OperatorDoor

_FIELDS: Final = ("sql", "rows")


class SqlApi:
    """``POST /v1/Operator/Sql/``."""

    def __init__(self, *, engine: Engine, settings: Settings, store: Store) -> None:
        self._engine = engine
        self._settings = settings
        self._door = OperatorDoor(store)

    def routes(self) -> list[Route]:
        """Return the route, in canonical form."""
        return [Route("/v1/operator/sql/", guarded(self.ask), methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """Answer one question."""
        await self._door.check(request)
        given = await fields.body_fields(request, self._settings.server.max_body_bytes, _FIELDS)
        limits = Limits(timeout_s=self._settings.analytics.query_timeout_s, rows=self._rows(given))
        try:
            found = await self._engine.own(_sql(given), account_id=None, limits=limits)
        except QuestionRefused as error:
            return error_response(400, str(error))
        except AnalyticsAway as error:
            return error_response(503, f"{error} Ask again in a while.")
        except QuestionTooLong as error:
            return error_response(503, f"{error} Ask for less at a time.")
        return answer(as_object(found))

    def _rows(self, given: Mapping[str, Any]) -> int:
        most = self._settings.analytics.query_rows
        rows = given.get("rows", most)
        if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= most:
            raise InvalidRequest(f"rows must be a whole number from 1 to {most}")
        return rows


def _sql(given: Mapping[str, Any]) -> str:
    sql = given.get("sql")
    if not isinstance(sql, str) or not sql.strip() or len(sql) > LONGEST:
        raise InvalidRequest(f"sql must be a text with one question, of {LONGEST} characters at most")
    return sql
