"""Figures of the deliveries, an addition: of an account for its programs, and of all accounts for the operator's."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.analytics.asking import OPTIONS, QUESTIONS, Question, plain, read_options, time_shown
from ringback.analytics.engine import Engine
from ringback.analytics.filters import read_filter
from ringback.analytics.questions import Questions
from ringback.model.errors import AnalyticsAway, QuestionTooLong
from ringback.runtime import Clock
from ringback.store.port import Store
from ringback.web.api.auth import Authenticator
from ringback.web.api.resource import answer
from ringback.web.errors import error_response, guarded
from ringback.web.operator import OperatorDoor

Viewer = Callable[[Request], Awaitable[str | None]]
"""Says whose figures a request may see, ``None`` for everybody's. Raises ``NotAuthenticated``."""


class AnalyticsApi:
    """Endpoints under ``/v1/Account/{auth_id}/Analytics/`` and ``/v1/Operator/Analytics/``."""

    def __init__(
        self, *, questions: Questions, engine: Engine, store: Store, clock: Clock, authenticator: Authenticator
    ) -> None:
        self._questions = questions
        self._engine = engine
        self._clock = clock
        self._authenticator = authenticator
        self._door = OperatorDoor(store)

    def routes(self) -> list[Route]:
        """Return the routes of accounts, in canonical form."""
        return self._routes("/v1/account/{auth_id}/analytics/", self._of_account)

    def operator_routes(self) -> list[Route]:
        """Return the operator's routes, in canonical form."""
        return self._routes("/v1/operator/analytics/", self._of_operator)

    def _routes(self, collection: str, viewer: Viewer) -> list[Route]:
        return [
            Route(f"{collection}{name}/", guarded(partial(self._asked, question, viewer)), methods=["GET"])
            for name, question in QUESTIONS.items()
        ]

    async def _asked(self, question: Question, viewer: Viewer, request: Request) -> Response:
        account_id = await viewer(request)
        given = request.query_params
        chosen = read_filter(given, now_us=self._clock.now_us(), account_id=account_id, beside=OPTIONS)
        options = read_options(question, given)
        try:
            standing = await self._engine.standing()
            found = await question.ask(self._questions, chosen, options)
        except AnalyticsAway as error:
            return error_response(503, f"{error} Ask again in a while.")
        except QuestionTooLong as error:
            return error_response(503, f"{error} Ask for a shorter period or with more filters.")
        about: dict[str, Any] = {
            "since": time_shown(chosen.since_us),
            "until": time_shown(chosen.until_us),
            "as_of": time_shown(standing.as_of_us),
            "state": standing.state,
        }
        return answer({**about, **plain(found)})

    async def _of_account(self, request: Request) -> str:
        return (await self._authenticator.account(request)).auth_id

    async def _of_operator(self, request: Request) -> None:
        await self._door.check(request)
