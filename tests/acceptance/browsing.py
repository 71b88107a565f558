"""A browser of Debian's, pages that note whatever goes wrong in them, and axe-core to examine them with."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, Request, Response, async_playwright, expect

from tests.fakes import node_sdk

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_MS = 60_000
"""On a busy machine a page takes its time."""
expect.set_options(timeout=PATIENCE_MS)

AXE = Path(__file__).parent / "axe"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

# All that WCAG 2 asks for at the levels A and AA. No rule is switched off.
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# What can differ between light and dark.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
EXAMINE = """async (wanted) => {
  const found = await axe.run(document, {runOnly: wanted, resultTypes: ["violations"]});
  const said = (rule, node) => [rule.id, node.target.join(" "), node.failureSummary, node.html.slice(0, 200)];
  return found.violations.flatMap((rule) => rule.nodes.map((node) => said(rule, node).join()));
}"""

# The browser tells of what the policy refused on its console too, but not always of what was refused quietly.
NOTE_REFUSALS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error("policy refused", event.violatedDirective, event.blockedURI, event.sourceFile));
"""


@dataclass
class Tab:
    """A page, and what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the browser for as long as the context lasts."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=2 * PATIENCE_MS)
        yield launched
        await launched.close()


async def open_tab(context: BrowserContext) -> Tab:
    """Open a page. It complains of errors and warnings, and of requests that fail or are refused."""
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    tab = Tab(page)
    note = tab.complaints.append
    page.on("console", lambda entry: note(entry.text) if entry.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("requestfailed", lambda request: None if _was_left(request) else note(f"failed: {request.url}"))
    page.on("response", lambda answer: note(f"{answer.status}: {answer.url}") if _is_bad(answer) else None)
    await page.add_init_script(NOTE_REFUSALS)
    return tab


def _was_left(request: Request) -> bool:
    """Whether a stream or what a page was still asking for ended because the page was left."""
    return request.failure == "net::ERR_ABORTED"


def _is_bad(answer: Response) -> bool:
    return answer.status >= 400


async def log_in(link: str, context: BrowserContext) -> Tab:
    """Open a page that has logged in by pressing the button of a link."""
    tab = await open_tab(context)
    await tab.page.goto(link)
    await tab.page.get_by_role("button", name="Open the dashboard").click()
    await tab.page.get_by_role("heading", name="Overview", level=1).wait_for()
    return tab


@cache
def _axe() -> str:
    node_sdk.install(AXE, "axe-core")
    script = (AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()
    assert hashlib.sha256(script.encode()).hexdigest() == AXE_SHA256, "this is not the axe-core that was looked at"
    return script


async def barriers(page: Page, wanted: dict[str, object]) -> list[str]:
    """Return what axe-core finds on a page: rule, element, what is wrong, the element's text."""
    # Through the debugger: the pages' own policy would refuse a script element, as it should.
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found: list[str] = await page.evaluate(EXAMINE, wanted)
    return found
