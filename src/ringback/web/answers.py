"""Counting what is answered, and timing how long it took until the answer began."""

import time
from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.metrics import Metrics

_SURFACES: Final = {"v1": "api", "hooks": "receiver", "bin": "inspector", "dashboard": "dashboard"}
_CLASSES: Final = ("", "1xx", "2xx", "3xx", "4xx", "5xx")


class CountedAnswers:
    """Counts answers by surface and class of status, and times them by surface."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._answers = metrics.answers
        self._seconds = metrics.answer_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what is answered is counted as it passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        surface = _SURFACES.get(scope["path"].lstrip("/").partition("/")[0].lower(), "other")
        begun_s = time.perf_counter()

        def counting(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._seconds[surface].observe(time.perf_counter() - begun_s)
                self._answers.add(surface, _CLASSES[message["status"] // 100])
            return send(message)

        await self._app(scope, receive, counting)
