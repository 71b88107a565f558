"""A page whose figures take long: its frame goes ahead, and all that the whole page would say follows."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import PAGE_LIMITS, Answer, Limits, Standing
from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong
from ringback.settings import DashboardSettings
from ringback.settings_analytics import AnalyticsSettings
from tests.data.dashboard.seeding import add_accounts
from tests.data.dashboard.serving import page, plain, serve
from tests.fakes.analytics import filled
from tests.fakes.clock import FakeClock
from tests.integration.test_dashboard_analytics import ROOT, ROWS

PAGES = ("", "/delivery", "/latency", "/funnel", "/errors", "/heatmap", "/spend")
BY_SCRIPT = {"HX-Request": "true"}
BACK_BY_SCRIPT = {"HX-History-Restore-Request": "true"}
WAITING = re.compile(r'<p class="waiting[^>]*>[^<]*</p>')


@dataclass
class Gate:
    """Before every answer of an engine."""

    may: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: Exception | None = None


class GatedEngine(DuckEngine):
    """Answers nothing until its gate lets it."""

    gate: Gate

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """Wait, then fail or answer."""
        await self.gate.may.wait()
        if self.gate.trouble:
            raise self.gate.trouble
        return await super().ask(sql, given, limits=limits)


@dataclass(frozen=True)
class Served:
    """An operator's client of a dashboard that does not wait for figures, and the gate before them."""

    engine: DuckEngine
    client: aiohttp.ClientSession
    gate: Gate


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    gate = Gate()
    clock = FakeClock()
    async with (
        GatedEngine(tmp_path / "analytics", AnalyticsSettings()) as engine,
        serve(
            tmp_path / "store", clock=clock, engine=engine, settings=DashboardSettings(frame_after_ms=0)
        ) as dashboard,
    ):
        engine.gate = gate
        await dashboard.commit(lambda tx: add_accounts(tx, clock.now_us()))
        await filled(engine, ROWS)
        async with dashboard.operator() as client:
            yield Served(engine, client, gate)


async def begun(answer: aiohttp.ClientResponse) -> str:
    """Read what comes before the figures."""
    text = ""
    async with asyncio.timeout(60):
        while not WAITING.search(text):
            text += (await answer.content.readany()).decode()
    return text


@pytest.mark.parametrize("path", [*PAGES, "?country=BR", "?period=90d&compare=previous"])
async def test_frame_and_figures_together_are_the_whole_page(served: Served, path: str) -> None:
    async with served.client.get(ROOT + path) as answer:
        assert answer.status == 200
        frame = await begun(answer)
        assert "</nav>" in frame.partition('class="subnav"')[2]
        assert "<h1>" not in frame
        served.gate.may.set()
        text = frame + await answer.text()
    async with served.client.get(ROOT + path, headers=BY_SCRIPT) as answer:
        whole = await answer.text()
    assert not WAITING.search(whole)
    assert "<h1>" in whole
    assert WAITING.sub("", text).split() == whole.split()


@pytest.mark.parametrize(
    ("trouble", "status", "says"),
    [
        (QuestionTooLong("It took too long."), 503, "That takes too long to work out."),
        (AnalyticsAway("It is gone."), 503, "The analytics are away"),
    ],
)
async def test_what_goes_wrong_after_the_frame_is_said_in_it(
    served: Served, trouble: Exception, status: int, says: str
) -> None:
    served.gate.trouble = trouble
    async with served.client.get(f"{ROOT}/latency") as answer:
        assert answer.status == 200
        frame = await begun(answer)
        served.gate.may.set()
        rest = await answer.text()
    assert says not in frame
    assert plain(rest).count(says) == 1
    assert rest.rstrip().endswith("</html>")
    # A script is told so by the status.
    for headers in (BY_SCRIPT, BACK_BY_SCRIPT):
        async with served.client.get(f"{ROOT}/latency", headers=headers) as answer:
            assert answer.status == status
            assert says in plain(await answer.text())
    async with served.client.head(f"{ROOT}/latency") as answer:
        assert answer.status == status


async def test_a_defect_after_the_frame_is_said_in_it_and_logged(served: Served) -> None:
    served.gate.trouble = QuestionRefused("SELECT what?")
    served.gate.may.set()
    with capture_logs() as told:
        async with served.client.get(f"{ROOT}/spend") as answer:
            text = await answer.text()
    assert plain(text).count("This page has failed") == 1
    assert text.rstrip().endswith("</html>")
    assert [(each["event"], each["path"]) for each in told] == [("request_failed", f"{ROOT}/spend")]


async def test_how_far_the_analytics_are_is_said_once(served: Served) -> None:
    def stands(events: int) -> None:
        served.engine.note_standing(
            Standing(state="rebuilding", events=events, behind=100 - events, as_of_us=0, mark=events)
        )

    stands(10)
    async with served.client.get(f"{ROOT}/heatmap") as answer:
        assert answer.headers["X-Accel-Buffering"] == "no"
        text = await begun(answer)
        stands(50)
        served.gate.may.set()
        text += await answer.text()
    assert re.findall(r"(\d+) of 100 events are in", text) == ["10"]


async def test_what_cannot_be_understood_is_refused_before_any_frame(served: Served) -> None:
    assert "Country must be" in await page(served.client, f"{ROOT}?country=india", status=400)


async def test_what_a_page_alone_does_not_understand_is_said_in_its_frame(served: Served) -> None:
    async with served.client.get(f"{ROOT}/latency?measure=moon") as answer:
        assert plain(await answer.text()).count("Measure must be one of") == 1
