"""The prompt of ``ringback sql`` in a terminal: statements of several lines, mistakes, and the ways out."""

import contextlib
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringback.analytics.duck import DuckEngine
from ringback.cli.sql import HISTORY
from ringback.settings_analytics import AnalyticsSettings
from tests.fakes.analytics import filled, row
from tests.fakes.process import COMMAND
from tests.fakes.terminal import Terminal, terminal

CTRL_C = "\x03"
CTRL_D = "\x04"


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data directory with an analytics file of two messages, and nobody who has it open."""
    async with DuckEngine(tmp_path / "analytics", AnalyticsSettings(memory_mb=256)) as engine:
        await filled(engine, messages=[row(1), row(2, status="failed")])
    return tmp_path


@asynccontextmanager
async def prompt(data: Path) -> AsyncIterator[Terminal]:
    async with terminal(*COMMAND, "sql", "--data-dir", str(data)) as screen:
        await screen.until("sql> ")
        yield screen


async def leave(screen: Terminal, way_out: str = CTRL_D) -> None:
    """Leave the prompt, once it is there, and see that it ends well."""
    await screen.until("sql> ")
    screen.press(way_out)
    assert await screen.end() == 0


async def test_a_statement_of_several_lines_is_asked_once_it_ends(data: Path) -> None:
    async with prompt(data) as screen:
        screen.press("SELECT status, count(*) AS n\n")
        assert "rows" not in await screen.until("...> ")
        screen.press("FROM messages GROUP BY status;\n")
        shown = await screen.until("sql> ")
        assert "delivered" in shown
        assert "2 rows, took" in shown
        # An empty line ends it too; before a statement it is nothing.
        screen.press("\nSELECT 6 * 7 AS answer\n\n")
        assert "42" in await screen.until("1 row, took")
        await leave(screen, "\\q\n")


async def take_back(screen: Terminal) -> str:
    """Press Ctrl-C until the prompt is there again; returns what came before it.

    Python loses the first one if it comes between writing a prompt and waiting for keys, on a busy machine.
    """
    for _ in range(10):
        screen.press(CTRL_C)
        with contextlib.suppress(AssertionError):
            return await screen.until("sql> ", timeout_s=5)
    raise AssertionError(f"Ctrl-C was never heard: {screen.written[-3000:]}")


@pytest.mark.parametrize("way_out", [CTRL_D, "\\q\n", "exit;\n", "QUIT\n"])
async def test_a_mistake_is_told_and_the_prompt_goes_on_until_it_is_left(data: Path, way_out: str) -> None:
    async with prompt(data) as screen:
        screen.press("SELECT nothing FROM messages;\n")
        shown = await screen.until("sql> ")
        assert "Referenced column" in shown
        assert "Traceback" not in shown
        screen.press("DROP TABLE messages;\n")
        assert "Traceback" not in await screen.until("sql> ")
        screen.press("SELECT count(*) FROM messages;\n")
        await screen.until("1 row, took")
        await leave(screen, way_out)


async def test_ctrl_c_takes_back_what_is_typed_and_keeps_the_prompt(data: Path) -> None:
    async with prompt(data) as screen:
        screen.press("SELECT 'never\n")
        await screen.until("...> ")
        screen.press("asked")
        await screen.until("asked")
        await take_back(screen)
        screen.press("SELECT 'once';\n")
        shown = await screen.until("1 row, took")
        assert "Error" not in shown
        assert "once" in shown
        await leave(screen)


async def test_ctrl_c_ends_a_question_and_keeps_the_prompt(data: Path) -> None:
    async with prompt(data) as screen:
        # Its own limit is far off, so that only the key can end it.
        screen.press("SELECT count(*) FROM range(100000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3;\n")
        await screen.until("as it was left")
        assert "Traceback" not in await take_back(screen)
        screen.press("SELECT 'still here';\n")
        assert "still here" in await screen.until("1 row, took")
        await leave(screen)


async def test_questions_are_remembered_for_the_user_only(data: Path) -> None:
    async with prompt(data) as screen:
        screen.press("SELECT 'remembered';\n")
        await screen.until("1 row, took")
        await leave(screen)
    history = data / HISTORY
    assert "remembered" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    async with prompt(data) as screen:
        screen.press("\x1b[A\n")  # the arrow that points up
        assert "remembered" in await screen.until("1 row, took")
