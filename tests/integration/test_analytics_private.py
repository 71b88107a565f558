"""The analytics' files are for the user that Ringback runs as, whatever the umask, as the store's are."""

import os
import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ringback.analytics.days import Days
from ringback.analytics.door import open_door
from ringback.analytics.duck import FILE, DuckEngine
from ringback.analytics.sealing import seal
from ringback.analytics.wire import SOCKET
from ringback.model.errors import DataDirUnusable
from ringback.settings_analytics import AnalyticsSettings

SETTINGS = AnalyticsSettings(memory_mb=256)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Make new files readable by everybody, unless whoever makes them says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> list[str]:
    found = [directory, *directory.rglob("*")]
    return [str(path.relative_to(directory.parent)) for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def loosen(directory: Path) -> None:
    (directory / FILE).chmod(0o644)
    directory.chmod(0o711)


async def test_file_socket_spilled_and_sealed_days_are_private(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "analytics"
    async with DuckEngine(directory, SETTINGS) as engine, open_door(engine, directory):
        await engine.write(lambda con: seal(con, Days(directory / "days" / "some"), date(2026, 1, 1)))
        assert {path.name for path in directory.iterdir()} >= {FILE, SOCKET, "tmp", "days"}
        assert len(list((directory / "days" / "some").glob("*.parquet"))) == 2
        # DuckDB makes its log of changes anew after each checkpoint; nobody else can enter the directory.
        assert set(open_to_others(directory)) <= {f"analytics/{FILE}.wal"}


async def test_what_was_readable_by_everybody_is_made_private_when_it_is_opened(tmp_path: Path) -> None:
    days = tmp_path / "days" / "some"
    days.mkdir(parents=True)
    (days / "messages-2026-01-01.parquet").write_bytes(b"")
    async with DuckEngine(tmp_path, SETTINGS):
        pass
    loosen(tmp_path)
    async with DuckEngine(tmp_path, SETTINGS):
        assert open_to_others(tmp_path) == []


async def test_a_link_to_what_is_elsewhere_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    directory = tmp_path / "analytics"
    directory.mkdir()
    (directory / "days").symlink_to(elsewhere)
    async with DuckEngine(directory, SETTINGS):
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataDirUnusable, match=r"file/analytics .* set analytics\.dir to another"):
        async with DuckEngine(tmp_path / "file" / "analytics", SETTINGS):
            pass
