"""The inspector: from a request to its row on a screen, and searching a bin that is full."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from playwright.async_api import Page, async_playwright

from benchmarks.databases import DATABASES, Database
from benchmarks.listing import asker
from benchmarks.processes import command, create_account, login_link, ringback
from benchmarks.report import Figure, Report, Target, median, percentile, progress
from ringback.store import captures
from ringback.store.bins import Bin
from ringback.store.captures import NewCapture, Planned, Stored
from ringback.store.port import Transaction

CHROMIUM: Final = "/usr/bin/chromium"
SHOWN: Final = 200
EVERY_S: Final = 0.1
HELD: Final = 100_000
BATCH: Final = 1_000
RUNS: Final = 21

SEARCHES: Final[Mapping[str, str]] = {
    "in_many": "Status=delivered",
    "in_the_oldest": "needle-in-the-oldest",
    "in_none": "nowhere-to-be-found",
    "in_none_quoted": "+1999 999",
}

# Notes when each row was painted: after the frame that follows its coming. The clock is that of the machine.
NOTE_ROWS: Final = """() => {
  window.painted = {};
  const note = () => {
    const now = Date.now();
    for (const row of document.querySelectorAll("[data-captures] tr")) window.painted[row.dataset.number] ??= now;
  };
  const watch = new MutationObserver(() => requestAnimationFrame(() => setTimeout(note, 0)));
  watch.observe(document.querySelector("[data-part]"), { childList: true, subtree: true });
}"""


def run(directory: Path) -> Report:
    """Measure both; the search on both databases."""
    figures: dict[str, Figure] = {}
    targets: list[Target] = []
    yardstick: dict[str, Any] = {}
    for kind, make in DATABASES.items():
        place = directory / f"bins-{kind}"
        place.mkdir(parents=True)
        with make(place) as database:
            auth_id, token = create_account(database.environment)
            with ringback(database.environment, place / "ringback.log") as server:
                answered_ms, painted_ms = asyncio.run(_screen(server.url, database))
                yardstick[f"answered_p95_ms_{kind}"] = round(percentile(answered_ms, 0.95), 2)
                figures[f"captures_not_shown_{kind}"] = Figure(SHOWN - len(painted_ms), "captures")
                figures[f"screen_p50_{kind}"] = Figure(median(painted_ms), "ms")
                figures[f"screen_p95_{kind}"] = Figure(percentile(painted_ms, 0.95), "ms")
                figures[f"screen_max_{kind}"] = Figure(max(painted_ms), "ms")
                targets += [
                    Target(f"screen_p95_{kind}", "at most", 100), Target(f"captures_not_shown_{kind}", "at most", 0),
                ]  # fmt: skip
                _fill(server.url, database, auth_id, token)
                ask = asker(f"{server.url}/v1/bins/full/captures", auth_id, token)
                ask("?limit=1")
                for name, text in SEARCHES.items():
                    times_ms = []
                    for _ in range(RUNS):
                        started_ns = time.perf_counter_ns()
                        ask(f"?limit=20&search={urllib.request.quote(text)}")
                        times_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
                    figures[f"search_{name}_p50_{kind}"] = Figure(median(times_ms), "ms")
                    figures[f"search_{name}_p95_{kind}"] = Figure(percentile(times_ms, 0.95), "ms")
                    targets.append(Target(f"search_{name}_p95_{kind}", "at most", 200))
    return Report(name="bins", yardstick={"captures": HELD, **yardstick}, figures=figures, targets=targets)


async def _screen(url: str, database: Database) -> tuple[list[float], list[float]]:
    """Send requests to a bin that a browser shows; gives milliseconds to the answer, and to the row on the screen."""
    progress(f"bins: {SHOWN} captures on a screen, one every {EVERY_S:g} s ...")
    command(database.environment, "bin", "new", "screen")
    link = login_link(database.environment, url)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        await page.goto(link)
        await page.get_by_role("button", name="Open the dashboard").click()
        await page.wait_for_url("**/dashboard")
        await page.goto(f"{url}/dashboard/bins/screen")
        await page.wait_for_selector("[data-state=live]")
        await page.evaluate(NOTE_ROWS)
        times = await _send(url)
        painted = await _painted(page)
        await browser.close()
    answered_ms = [(answered - sent) * 1000 for sent, answered in times]
    return answered_ms, [
        painted[number] - sent * 1000 for number, (sent, _) in enumerate(times, 1) if number in painted
    ]


async def _send(url: str) -> list[tuple[float, float]]:
    times = []
    async with aiohttp.ClientSession() as http:
        for number in range(SHOWN):
            sent = time.time()
            async with http.post(f"{url}/bin/screen/{number}", data={"Status": "delivered", "n": str(number)}):
                times.append((sent, time.time()))
            await asyncio.sleep(max(0.0, sent + EVERY_S - time.time()))
    return times


async def _painted(page: Page) -> dict[int, float]:
    for _ in range(50):
        noted = {int(number): at for number, at in (await page.evaluate("window.painted")).items()}
        if len(noted) == SHOWN:
            break
        await asyncio.sleep(0.1)
    return noted


def _fill(url: str, database: Database, auth_id: str, token: str) -> None:
    """Make a bin of the account, and fill it with callbacks of a kilobyte."""
    command(
        database.environment, "bin", "new", "full", "--captures", str(HELD), "--megabytes", "1000", "--account", auth_id
    )
    for first in range(0, HELD, BATCH):
        new = [_capture(number) for number in range(first, first + BATCH)]

        def store(tx: Transaction, new: list[NewCapture] = new) -> list[Stored | None]:
            return captures.store(tx, new, _answered)

        database.use(store)
    if asker(f"{url}/v1/bins/full", auth_id, token)("")["held"] != HELD:
        raise SystemExit("bins: the bin was not filled")
    progress(f"bins: {HELD:,} captures are there")


def _answered(_: Bin, __: int, ___: int, ____: NewCapture) -> Planned:
    return Planned("answer", 200)


def _capture(number: int) -> NewCapture:
    headers = [["Host", "bins.example.com"], ["User-Agent", "python-requests/2.32"], ["Accept", "*/*"],
               ["X-Plivo-Signature-V3", f"{number:044x}"], ["X-Plivo-Signature-V3-Nonce", f"{number:020}"],
               ["Content-Type", "application/x-www-form-urlencoded"], ["Content-Length", "420"]]  # fmt: skip
    status = ("queued", "sent", "delivered")[number % 3]
    body = f"MessageUUID={number:032x}&From=15005550100&To=1415555{number % 10_000:04}&Status={status}&ErrorCode=000"
    body += (
        "&PartInfo=1+of+1&TotalRate=0.00550&TotalAmount=0.00550&Units=1&QueuedTime=2026-01-01+00%3A00%3A00.000000" * 2
    )
    return NewCapture(
        bin="full",
        received_at_us=time.time_ns() // 1000,
        method="POST",
        path="/bin/full/sms_status",
        query="tenant=42" + ("&x=needle-in-the-oldest" if number == 0 else ""),
        headers=json.dumps(headers),
        body=body.encode(),
        cut="",
        peer="192.0.2.7",
        group_key=f"{number:040x}",
    )
