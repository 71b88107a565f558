"""What machines ask: ``/metrics``, and ``/readyz``, whether this process should be sent requests.

A process is not ready some time before a disk is full: whoever sends callbacks then keeps them and sends them again,
while those that are in hand can still be stored. That a database can be read does not say that it can be written: so
every ``WRITE_AGAIN_S`` that somebody asks, one row is.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ringback.metrics import CONTENT_TYPE, Metrics
from ringback.model.errors import OutOfSpace, StoreUnavailable
from ringback.runtime import Clock
from ringback.store import keys, messages
from ringback.store.backlog import backlog
from ringback.store.port import Store

ANSWER_WITHIN_S: Final = 2.0
WRITE_AGAIN_S: Final = 5.0
"""For so long after a write that went well the database is taken to be one that can be written."""
FRESH_FOR_S: Final = 1.0
"""Whoever asks sooner again gets the same figures: asking often must not keep the database busy."""


class Check(msgspec.Struct, frozen=True):
    """One of the things that a process needs to be ready."""

    name: str
    ok: bool
    says: str


class Probes:
    """Answers the questions of machines."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        shows_metrics: bool,
        disks: Mapping[str, Path],
        min_free_mb: int,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        """Answer for a process; ``disks`` says what it keeps on disks of its own, and in which directory."""
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._shows_metrics = shows_metrics
        self._disks = disks
        self._min_free_mb = min_free_mb
        self._answer_within_s = answer_within_s
        self._draining = False
        self._asking: asyncio.Task[list[Check]] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._read_at_us: int | None = None
        self._written_at_us: int | None = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        ready = Route("/readyz", self._readyz, methods=["GET"])
        return [ready, Route("/metrics", self._metricsz, methods=["GET"])] if self._shows_metrics else [ready]

    def stop(self) -> None:
        """Be ready no more: whoever spreads requests should send them elsewhere."""
        self._draining = True

    async def _readyz(self, request: Request) -> Response:
        checks = await self.checks()
        objections = [check.says for check in checks if not check.ok]
        status = 503 if objections else 200
        if "verbose" in request.query_params:
            said = {"ready": not objections, "checks": checks}
            return Response(msgspec.json.encode(said), status, media_type="application/json")
        return PlainTextResponse(f"{objections[0] if objections else 'ready'}\n", status)

    async def checks(self) -> list[Check]:
        """Say of each thing that readiness takes how it is; this process is ready when all are well."""
        if self._draining:
            return [Check("running", ok=False, says="shutting down")]
        if self._asking is None or self._asking.done():
            # Shared by all who ask meanwhile: a database that hangs must not gather questions.
            self._asking = asyncio.create_task(self._examine())
        done, _ = await asyncio.wait([self._asking], timeout=self._answer_within_s)
        if not done:
            says = f"the database or the disk does not answer within {self._answer_within_s:g} s"
            return [Check("answering", ok=False, says=says)]
        return self._asking.result()

    async def _examine(self) -> list[Check]:
        return [await self._database(), *[await self._disk(name, where) for name, where in self._disks.items()]]

    async def _database(self) -> Check:
        try:
            await self._store.read(messages.last_offset)
            await self._write()
        except (StoreUnavailable, OutOfSpace, OSError) as error:
            return Check("database", ok=False, says=str(error))
        return Check("database", ok=True, says="answers, and can be written")

    async def _write(self) -> None:
        now_us = self._clock.now_us()
        if self._written_at_us is not None and now_us - self._written_at_us < WRITE_AGAIN_S * 1_000_000:
            return
        self._written_at_us = None
        await self._store.write(lambda tx: keys.note_written(tx, now_us))
        self._written_at_us = now_us

    async def _disk(self, holds: str, directory: Path) -> Check:
        try:
            free_mb = await asyncio.to_thread(_free_bytes, directory) // 1_000_000
        except OSError as error:
            return Check(f"disk: {holds}", ok=False, says=str(error))
        ok = free_mb >= self._min_free_mb
        needed = "" if ok else f", store.min_free_mb asks for {self._min_free_mb}"
        return Check(f"disk: {holds}", ok=ok, says=f"{free_mb} MB are free where the {holds} is{needed}")

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
        await asyncio.to_thread(self._measure_disks)
        try:
            found = await self._store.read(lambda tx: backlog(tx, now_us))
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
            links=found.links,
            oldest_due_s=found.oldest_due_s,
            conversions=found.conversions,
            alerts=found.alerts,
        )
        self._read_at_us = now_us

    def _measure_disks(self) -> None:
        free = {}
        for holds, directory in self._disks.items():
            # A disk that is away is what /readyz tells of.
            with contextlib.suppress(OSError):
                free[holds] = _free_bytes(directory)
        self._metrics.show_disks(free, least_bytes=self._min_free_mb * 1_000_000)


def _free_bytes(directory: Path) -> int:
    """Return how much room there is where a directory is. Raises ``OSError``."""
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize
