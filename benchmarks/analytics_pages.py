"""The pages as ``analytics`` asks for them: with a login, over loopback, and painted by a real browser."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.processes import login_link
from ringback.analytics.filters import Filter, as_params

CHROMIUM: Final = "/usr/bin/chromium"
DAY_US: Final = 86_400_000_000
MINUTE_US: Final = 60_000_000
PERIODS: Final[Mapping[str, int]] = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
PAGES: Final[Mapping[str, str]] = {
    "overview": "/dashboard/analytics",
    "delivery_by_country": "/dashboard/analytics/delivery?by=country",
    "delivery_by_carrier": "/dashboard/analytics/delivery?by=carrier",
    "delivery_by_sender": "/dashboard/analytics/delivery?by=sender",
    "latency_by_carrier": "/dashboard/analytics/latency?by=carrier",
    "funnel": "/dashboard/analytics/funnel",
    "errors": "/dashboard/analytics/errors",
    "heatmap": "/dashboard/analytics/heatmap",
    "spend": "/dashboard/analytics/spend",
}
"""What is measured, by the name of its figure."""
TIMEOUT_S: Final = 60
PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
READY: Final = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


class Visitor:
    """Somebody who has logged in, on one connection."""

    def __init__(self, url: str, cookies: str) -> None:
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_S)
        self._cookies = cookies

    def ms(self, path: str) -> float:
        """Ask for a page; gives the milliseconds until all of it is there. Ends the benchmark when there is none."""
        started_s = time.perf_counter()
        self._connection.request("GET", path, headers={"Cookie": self._cookies, "Accept-Encoding": "identity"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"analytics: {path} gave {answer.status}: {body[:200]!r}")
        return (time.perf_counter() - started_s) * 1000


class Entrance(msgspec.Struct, frozen=True):
    """A Ringback with a browser that has logged in."""

    url: str
    context: BrowserContext
    cookies: str

    def visitor(self) -> Visitor:
        """Return somebody with a connection of their own."""
        return Visitor(self.url, self.cookies)

    def painted_ms(self, path: str) -> tuple[float, float]:
        """Open a page in a new tab; gives the milliseconds until something is painted, and until all is there.

        All is there when its scripts have run, which draw the charts.
        """
        page = self.context.new_page()
        try:
            page.goto(self.url + path)
            # Waiting for a function would have the page evaluate a text, which its policy does not allow.
            painted: float = page.evaluate(
                f"new Promise((done) => {{ const look = () => {{ const at = {PAINTED};"
                " at < 0 ? requestAnimationFrame(look) : done(at); }; look(); })"
            )
            ready: float = page.evaluate(READY)
            return painted, ready
        finally:
            page.close()


@contextlib.contextmanager
def entrance(url: str, environment: Mapping[str, str]) -> Iterator[Entrance]:
    """Log in as the operator, with a real browser."""
    link = login_link(environment, url)
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Open the dashboard").click()
        page.wait_for_url("**/dashboard")
        page.close()
        cookies = "; ".join(f"{cookie.get('name')}={cookie.get('value')}" for cookie in context.cookies())
        yield Entrance(url, context, cookies)
        browser.close()


def address(page: str, days: int, until_us: int) -> str:
    """Return where a page shows so many days; another end is another question, of which no answer is kept."""
    chosen = Filter(since_us=until_us - days * DAY_US, until_us=until_us)
    times = [(name, value) for name, value in as_params(chosen) if name in {"since", "until"}]
    path = PAGES[page]
    return f"{path}{'&' if '?' in path else '?'}{urlencode(times)}"


def times_ms(visitor: Visitor, page: str, days: int, until_us: int, runs: int) -> list[float]:
    """Ask for a page so many times, for another time each."""
    return [visitor.ms(address(page, days, until_us - run * MINUTE_US)) for run in range(runs)]


class Readers:
    """Visitors who go round the pages until they are told to stop."""

    def __init__(self, visitors: Sequence[Visitor], until_us: int) -> None:
        self.times_ms: dict[str, list[float]] = {period: [] for period in PERIODS}
        self._until_us = until_us
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._go_round, args=(each, at)) for at, each in enumerate(visitors)]

    def start(self) -> None:
        """Let them go."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have them end with the page in hand."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _go_round(self, visitor: Visitor, offset: int) -> None:
        rounds = 0
        while not self._stopping.is_set():
            until_us = self._until_us - (2 * rounds + offset) * MINUTE_US
            for period, days in PERIODS.items():
                for page in PAGES:
                    if self._stopping.is_set():
                        return
                    self.times_ms[period].append(visitor.ms(address(page, days, until_us)))
            rounds += 1
