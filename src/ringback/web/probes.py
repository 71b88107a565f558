"""What machines ask: ``/metrics``, and ``/readyz``, whether this process should be sent requests."""

import asyncio
import os
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ringback.metrics import CONTENT_TYPE, Metrics
from ringback.model.errors import StoreUnavailable
from ringback.runtime import Clock
from ringback.store import alerts, messages
from ringback.store.backlog import backlog
from ringback.store.port import Store

ANSWER_WITHIN_S: Final = 2.0
FRESH_FOR_S: Final = 1.0
"""Whoever asks sooner again gets the same figures: asking often must not keep the database busy."""


class Probes:
    """Answers the questions of machines."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        shows_metrics: bool,
        disk: Path | None,
        min_free_mb: int,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._shows_metrics = shows_metrics
        self._disk = disk
        self._min_free_mb = min_free_mb
        self._answer_within_s = answer_within_s
        self._draining = False
        self._asking: asyncio.Task[str] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._read_at_us: int | None = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        ready = Route("/readyz", self._readyz, methods=["GET"])
        return [ready, Route("/metrics", self._metricsz, methods=["GET"])] if self._shows_metrics else [ready]

    def stop(self) -> None:
        """Be ready no more: whoever spreads requests should send them elsewhere."""
        self._draining = True

    async def _readyz(self, _: Request) -> Response:
        objection = await self.objection()
        return PlainTextResponse(f"{objection or 'ready'}\n", 503 if objection else 200)

    async def objection(self) -> str:
        """Say in one line why this process is not ready; nothing when it is."""
        if self._draining:
            return "shutting down"
        if self._asking is None or self._asking.done():
            # Shared by all who ask meanwhile: a database that hangs must not gather questions.
            self._asking = asyncio.create_task(self._examine())
        done, _ = await asyncio.wait([self._asking], timeout=self._answer_within_s)
        if not done:
            return f"the database or the disk does not answer within {self._answer_within_s:g} s"
        return self._asking.result()

    async def _examine(self) -> str:
        try:
            await self._store.read(messages.last_offset)
            free_mb = None if self._disk is None else await asyncio.to_thread(_free_mb, self._disk)
        except (StoreUnavailable, OSError) as error:
            return str(error)
        if free_mb is not None and free_mb < self._min_free_mb:
            return f"{free_mb} MB are free where the database is, store.min_free_mb asks for {self._min_free_mb}"
        return ""

    async def _metricsz(self, _: Request) -> Response:
        now_us = self._clock.now_us()
        if self._read_at_us is None or now_us - self._read_at_us >= FRESH_FOR_S * 1_000_000:
            await self._refresh()
        return Response(self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _refresh(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_backlog())
        done, _ = await asyncio.wait([self._reading], timeout=self._answer_within_s)
        if done:
            self._reading.result()
        else:
            self._metrics.hide_backlog()

    async def _read_backlog(self) -> None:
        now_us = self._clock.now_us()
        try:
            found, firing = await self._store.read(lambda tx: (backlog(tx, now_us), alerts.firing(tx)))
        except StoreUnavailable:
            self._metrics.hide_backlog()
            return
        self._metrics.show_backlog(
            callbacks=found.callbacks,
            submissions=found.submissions,
            given_up=found.given_up,
            endpoints=found.endpoints,
            replays=found.replays,
            smpp_owed=found.smpp_owed,
            oldest_due_s=found.oldest_due_s,
            conversions=found.conversions,
            alerts=firing,
        )
        self._read_at_us = now_us


def _free_mb(directory: Path) -> int:
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize // 1_000_000
