"""What is counted, and what is said when the database or the disk does not answer."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ringback.metrics import Metrics
from ringback.model.errors import NotFound, OutOfSpace, StoreUnavailable
from ringback.store.backlog import Backlog
from ringback.store.measured import MeasuredStore
from ringback.web.answers import CountedAnswers
from ringback.web.probes import Probes
from tests.fakes.clock import FakeClock

BACKLOG = Backlog(
    callbacks=3,
    submissions=2,
    given_up=1,
    endpoints={"closed": 4, "open": 1},
    replays=2,
    conversions=0,
    smpp_owed=6,
    links={"up": 2, "down": 0},
    alerts={"pumping": 1},
    oldest_due_s=7.5,
)


PATIENT_S = 60
"""A look at a disk is made in a thread, which a busy machine may leave waiting."""
HASTY_S = 0.05


def value(metrics: Metrics, series: str) -> float | None:
    """What a series stands at, ``None`` when it is not there."""
    lines = dict(line.rsplit(" ", 1) for line in metrics.render().decode().splitlines() if not line.startswith("#"))
    return float(lines[series]) if series in lines else None


class AnsweringStore:
    """A store without a database: reads give what they are told, raise it, or wait for ever."""

    def __init__(self) -> None:
        self.answer: Any = 0
        self.reads = 0
        self.writes: list[Exception | None] = []
        self.refuses_writes: Exception | None = None
        self.release = asyncio.Event()
        self.release.set()

    async def read(self, _: Callable[[Any], Any], **_options: Any) -> Any:
        self.reads += 1
        await self.release.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def write(self, _: Callable[[Any], Any], **_options: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.writes.append(self.refuses_writes)
        if self.refuses_writes is not None:
            raise self.refuses_writes
        return self.answer


@pytest.fixture
def store() -> AnsweringStore:
    return AnsweringStore()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def probes(store: AnsweringStore, metrics: Metrics, clock: FakeClock, **changes: Any) -> Probes:
    options = {
        "shows_metrics": True,
        "disks": {"database": Path("/")},
        "min_free_mb": 0,
        "answer_within_s": PATIENT_S,
        **changes,
    }
    return Probes(store=store, clock=clock, metrics=metrics, **options)  # type: ignore[arg-type]


async def ask(probes: Probes, path: str) -> tuple[int, str]:
    """GET a path without a network."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    path, _, query = path.partition("?")
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    await Starlette(routes=probes.routes())(scope, receive, send)
    return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:]).decode()


async def test_ready_is_said_in_one_line(store: AnsweringStore, metrics: Metrics) -> None:
    asked = probes(store, metrics, FakeClock())
    assert await ask(asked, "/readyz") == (200, "ready\n")
    asked.stop()
    assert await ask(asked, "/readyz") == (503, "shutting down\n")


async def test_a_database_that_refuses_is_not_ready(store: AnsweringStore, metrics: Metrics) -> None:
    store.answer = StoreUnavailable("the database did not take the transaction: away")
    refused = (503, "the database did not take the transaction: away\n")
    assert await ask(probes(store, metrics, FakeClock()), "/readyz") == refused


async def test_a_database_that_hangs_is_not_ready(store: AnsweringStore, metrics: Metrics) -> None:
    asked = probes(store, metrics, FakeClock(), answer_within_s=HASTY_S)
    store.release.clear()
    hanging = (503, "the database or the disk does not answer within 0.05 s\n")
    assert await asyncio.gather(*(ask(asked, "/readyz") for _ in range(3))) == [hanging] * 3
    assert await ask(asked, "/readyz") == hanging
    assert store.reads == 1, "whoever asks meanwhile waits for the same answer"
    store.release.set()
    asked._answer_within_s = PATIENT_S
    assert await ask(asked, "/readyz") == (200, "ready\n")


@pytest.mark.parametrize(
    "refusal",
    [StoreUnavailable("the database did not take the transaction: readonly"), OutOfSpace("the disk is full")],
)
async def test_a_database_that_can_be_read_only_is_not_ready(
    store: AnsweringStore, metrics: Metrics, refusal: Exception
) -> None:
    clock = FakeClock()
    asked = probes(store, metrics, clock)
    assert await ask(asked, "/readyz") == (200, "ready\n")
    store.refuses_writes = refusal
    clock.advance(4.9)
    assert await ask(asked, "/readyz") == (200, "ready\n")
    clock.advance(0.1)
    assert await ask(asked, "/readyz") == (503, f"{refusal}\n")
    assert await ask(asked, "/readyz") == (503, f"{refusal}\n")
    store.refuses_writes = None
    assert await ask(asked, "/readyz") == (200, "ready\n")
    assert await ask(asked, "/readyz") == (200, "ready\n")
    assert store.writes == [None, refusal, refusal, None], "asking often must not keep the database busy"


async def test_too_little_room_is_not_ready(store: AnsweringStore, metrics: Metrics) -> None:
    status, line = await ask(probes(store, metrics, FakeClock(), min_free_mb=10**12), "/readyz")
    assert status == 503
    assert line.endswith(" MB are free where the database is, store.min_free_mb asks for 1000000000000\n")
    gone = probes(store, metrics, FakeClock(), disks={"database": Path("/nowhere/at/all")})
    assert await ask(gone, "/readyz") == (503, "[Errno 2] No such file or directory: '/nowhere/at/all'\n")
    elsewhere = probes(store, metrics, FakeClock(), disks={}, min_free_mb=10**12)
    assert await ask(elsewhere, "/readyz") == (200, "ready\n")


async def test_each_thing_that_readiness_takes_is_told_when_asked(
    store: AnsweringStore, metrics: Metrics, tmp_path: Path
) -> None:
    disks = {"database": Path("/"), "media": tmp_path / "away"}
    asked = probes(store, metrics, FakeClock(), disks=disks)
    status, text = await ask(asked, "/readyz?verbose")
    said = json.loads(text)
    assert (status, said["ready"]) == (503, False)
    assert [(check["name"], check["ok"]) for check in said["checks"]] == [
        ("database", True), ("disk: database", True), ("disk: media", False),
    ]  # fmt: skip
    assert (await ask(asked, "/readyz"))[1] == said["checks"][2]["says"] + "\n"
    del disks["media"]
    assert json.loads((await ask(asked, "/readyz?verbose"))[1])["ready"]
    asked.stop()
    stopped = json.loads((await ask(asked, "/readyz?verbose=1"))[1])
    assert stopped == {"ready": False, "checks": [{"name": "running", "ok": False, "says": "shutting down"}]}


async def test_the_room_on_disks_is_shown_beside_what_there_must_be(store: AnsweringStore, metrics: Metrics) -> None:
    store.answer = BACKLOG
    disks = {"database": Path("/"), "media": Path("/nowhere/at/all")}
    await ask(probes(store, metrics, FakeClock(), disks=disks, min_free_mb=200), "/metrics")
    assert (value(metrics, 'ringback_disk_free_bytes{holds="database"}') or 0) > 0
    assert value(metrics, 'ringback_disk_free_bytes{holds="media"}') is None, "old figures would look like new ones"
    assert value(metrics, "ringback_disk_least_free_bytes") == 200_000_000


async def test_metrics_can_be_turned_off(store: AnsweringStore, metrics: Metrics) -> None:
    assert (await ask(probes(store, metrics, FakeClock(), shows_metrics=False), "/metrics"))[0] == 404


async def test_the_backlog_is_asked_for_at_most_once_a_second(store: AnsweringStore, metrics: Metrics) -> None:
    clock = FakeClock()
    asked = probes(store, metrics, clock)
    store.answer = BACKLOG
    for seconds, reads in ((0, 1), (0.9, 1), (0.1, 2)):
        clock.advance(seconds)
        status, text = await ask(asked, "/metrics")
        assert (status, store.reads) == (200, reads)
    for line in (
        "ringback_callbacks_waiting 3.0", "ringback_submissions_waiting 2.0", 'ringback_endpoints{state="open"} 1.0',
        "ringback_callbacks_given_up_last_hour 1.0", "ringback_replays_running 2.0",
        "ringback_oldest_due_callback_age_seconds 7.5", 'ringback_carrier_links{state="up"} 2.0',
    ):  # fmt: skip
        assert line in text.splitlines()


async def test_counters_are_shown_without_a_database_and_old_figures_are_not(
    store: AnsweringStore, metrics: Metrics
) -> None:
    clock = FakeClock()
    asked = probes(store, metrics, clock)
    store.answer = BACKLOG
    assert "ringback_callbacks_waiting 3.0" in (await ask(asked, "/metrics"))[1]
    clock.advance(1)
    store.answer = StoreUnavailable("away")
    status, text = await ask(asked, "/metrics")
    assert (status, "ringback_callbacks_waiting" in text, "ringback_messages_accepted_total" in text) == (
        200,
        False,
        True,
    )
    store.answer = BACKLOG
    store.release.clear()
    asked._answer_within_s = HASTY_S
    assert "ringback_callbacks_waiting" not in (await ask(asked, "/metrics"))[1]
    store.release.set()


@pytest.mark.parametrize(
    ("answer", "result"), [(0, "ok"), (StoreUnavailable("away"), "unavailable"), (NotFound("no"), "rolled_back")]
)
async def test_transactions_are_counted_by_result(
    store: AnsweringStore, metrics: Metrics, answer: Any, result: str
) -> None:
    measured = MeasuredStore(store, metrics)  # type: ignore[arg-type]
    store.answer = answer
    for work in (measured.write, measured.read, measured.write):
        (found,) = await asyncio.gather(work(lambda _: None), return_exceptions=True)
        assert found == answer
    assert value(metrics, f'ringback_store_transactions_total{{kind="write",result="{result}"}}') == 2
    assert value(metrics, 'ringback_store_transaction_seconds_count{kind="write"}') == 2
    assert value(metrics, 'ringback_store_transaction_seconds_count{kind="read"}') == 1


async def test_a_caller_who_goes_away_is_told_apart(store: AnsweringStore, metrics: Metrics) -> None:
    store.release.clear()
    task = asyncio.create_task(MeasuredStore(store, metrics).read(lambda _: None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert value(metrics, 'ringback_store_transactions_total{kind="read",result="abandoned"}') == 1


@pytest.mark.parametrize(
    ("path", "status", "series"),
    [
        ("/v1/account/MA/message/", 202, 'status="2xx",surface="api"'),
        ("//V1/Account/MA", 404, 'status="4xx",surface="api"'),
        ("/hooks/anything/sms_status", 503, 'status="5xx",surface="receiver"'),
        ("/dashboard/", 302, 'status="3xx",surface="dashboard"'),
        ("/15005550100", 404, 'status="4xx",surface="other"'),
    ],
)
async def test_answers_are_counted_by_surface_and_class(metrics: Metrics, path: str, status: int, series: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=status)(scope, receive, send)

    async def nothing(*_: Any) -> Any:
        return None

    await CountedAnswers(app, metrics)({"type": "http", "path": path}, nothing, nothing)
    assert value(metrics, f"ringback_http_answers_total{{{series}}}") == 1
    surface = series.partition(",")[2]
    assert value(metrics, f"ringback_http_answer_seconds_count{{{surface}}}") == 1


def test_analytics_that_stand_still_fall_behind(metrics: Metrics) -> None:
    behind_s = 0.25
    assert value(metrics, "ringback_analytics_watermark_lag_seconds") == 0
    metrics.analytics_lag(lambda: behind_s)
    assert value(metrics, "ringback_analytics_watermark_lag_seconds") == 0.25
    behind_s += 60
    assert value(metrics, "ringback_analytics_watermark_lag_seconds") == 60.25


def test_each_has_a_registry_of_its_own() -> None:
    first, second = Metrics(), Metrics()
    first.attempts.add("ok", count=2)
    assert value(first, 'ringback_callback_attempts_total{outcome="ok"}') == 2
    assert value(second, 'ringback_callback_attempts_total{outcome="ok"}') == 0


def test_a_labelled_part_is_looked_up_once(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.received.add("prov", "v3")

    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(metrics.received._counter, "labels", refuse)
    metrics.received.add("prov", "v3")
    assert value(metrics, 'ringback_received_requests_total{source="prov",verdict="v3"}') == 2
