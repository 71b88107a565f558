"""Which methods of the official SDKs work here: one call of each, against a Ringback of its own.

``python -m tests.acceptance.sdk_table`` prints the table, ``--write`` also makes it the one that the tests expect.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import plivo
import plivo.rest.client

from ringback.cli.snippets import Language, snippet
from ringback.model.inventory import new_number
from ringback.runtime import configure_logging
from ringback.store import numbers
from ringback.wiring import serving
from tests.acceptance import sdk_calls
from tests.fakes import node_sdk
from tests.fakes.numbers import own_number
from tests.fakes.platform import Running, running, settings_for

EXPECTED: Final = Path(__file__).parents[1] / "data" / "sdk_table.json"
PICTURE: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf500f0003860180a4b7d0"
    "690000000049454e44ae426082"
)
"""One pixel, as PNG."""
_VARIES: Final = re.compile(r"[MS]A[A-Z0-9]{18}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{6,}|127\.0\.0\.1:\d+")
_CONSTANTS: Final = (
    "PLIVO_API_BASE_URI",
    "API_VOICE_BASE_URI",
    "API_VOICE_BASE_URI_FALLBACK_1",
    "API_VOICE_BASE_URI_FALLBACK_2",
)

Table = dict[str, dict[str, str]]


def steady(text: str) -> str:
    """Return an outcome without what differs from run to run."""
    return _VARIES.sub("…", " ".join(text.split()))


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Let the Python SDK go to ``url``."""
    before = {name: getattr(plivo.rest.client, name) for name in _CONSTANTS}
    try:
        for name in _CONSTANTS:
            setattr(plivo.rest.client, name, f"{url}/v1/Account")
        yield
    finally:
        for name, value in before.items():
            setattr(plivo.rest.client, name, value)


async def python_outcomes(ringback: Running, file: Path) -> dict[str, str]:
    """Call every method of the Python SDK."""
    with (
        pointed_at(ringback.url),
        plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as client,
    ):
        return await asyncio.to_thread(sdk_calls.outcomes, client, file)


async def node_outcomes(ringback: Running, file: Path) -> dict[str, Any]:
    """Call every method of the Node SDK; gives ``outcomes``, and which methods are ``missing`` from the calls."""
    code = snippet(Language.NODE, ringback.url) + (
        f"require('./calls.js')(client, {json.dumps(str(file))})"
        ".then((table) => console.log('\\n' + JSON.stringify(table)));"
    )
    said = await node_sdk.output_of("-e", code, env=node_sdk.environment(ringback.account))
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return found


@contextmanager
def a_known_code() -> Iterator[None]:
    """Let the code that verifies a number be the one that the calls give."""
    before = serving.new_code
    serving.new_code = lambda: sdk_calls.CODE
    try:
        yield
    finally:
        serving.new_code = before


async def stock(ringback: Running) -> None:
    """Put numbers up for rent, and give the account a toll-free one."""
    offered = [new_number(f"1415555{last}", carrier="Ringback") for last in range(2670, 2680)]
    await ringback.platform.store.write(partial(numbers.add, new=offered))
    await own_number(ringback.platform.store, ringback.account.auth_id, sdk_calls.TOLLFREE)


async def table(directory: Path) -> Table:
    """Make the table, in an empty directory."""
    node_sdk.install()
    file = directory / "pixel.png"
    file.write_bytes(PICTURE)
    with a_known_code():
        return await _tables(directory, file)


async def _tables(directory: Path, file: Path) -> Table:
    found: Table = {}
    async with running(settings_for(directory / "python")) as ringback:
        await stock(ringback)
        found["python"] = await python_outcomes(ringback, file)
    async with running(settings_for(directory / "node")) as ringback:
        await stock(ringback)
        called = await node_outcomes(ringback, file)
    assert called["missing"] == [], "methods of the Node SDK that sdk_node/calls.js has no call for"
    found["node"] = called["outcomes"]
    return {sdk: {name: steady(outcome) for name, outcome in outcomes.items()} for sdk, outcomes in found.items()}


def shown(found: Table) -> Iterator[str]:
    """Give the lines to print: what works in one line, then each method that differs."""
    for sdk, outcomes in found.items():
        works = [name for name, outcome in outcomes.items() if outcome == "works"]
        yield f"{sdk}: {len(works)} of {len(outcomes)} work"
        yield f"  work: {', '.join(works)}"
        width = max(len(name) for name in outcomes)
        yield from (f"  {name:<{width}}  {outcome}" for name, outcome in outcomes.items() if outcome != "works")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {EXPECTED.name} too")
    wanted = parser.parse_args()
    configure_logging("error")
    with TemporaryDirectory() as directory:
        found = asyncio.run(table(Path(directory)))
    print("\n".join(shown(found)))  # noqa: T201 - what this program is for
    if wanted.write:
        EXPECTED.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
