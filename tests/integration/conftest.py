"""A dashboard for those tests that ask for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.data.dashboard.serving import Dashboard, serve


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    """A dashboard over a database without any row."""
    async with serve(tmp_path) as running:
        yield running


@pytest.fixture
async def operator(dashboard: Dashboard) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has logged in."""
    async with dashboard.operator() as client:
        yield client
