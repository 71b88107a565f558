"""The official Node SDK: installed once, driven by scripts."""

import asyncio
import fcntl
import json
import os
import subprocess
from pathlib import Path

from ringback.store.accounts import Account

HERE = Path(__file__).parents[1] / "acceptance" / "sdk_node"


def install(here: Path = HERE, package: str = "plivo") -> None:
    """Install a pinned package beside its drivers, unless it is there: the SDK, unless told otherwise."""
    installed = here / "node_modules" / package / "package.json"
    manifest = here / "package.json"
    wanted = json.loads(manifest.read_text())["dependencies"][package]
    with manifest.open() as door:
        # Tests that run beside each other want it at the same time, and a package is not whole as soon as it is there.
        fcntl.flock(door, fcntl.LOCK_EX)
        if not installed.exists() or json.loads(installed.read_text())["version"] != wanted:
            subprocess.run(
                [
                    "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
                    "--loglevel=error",
                ],
                cwd=here, check=True, timeout=300,
            )  # fmt: skip


async def output_of(*arguments: str, stdin: str = "", env: dict[str, str] | None = None, here: Path = HERE) -> str:
    """Run Node where its package is, to its successful end, and give what it printed."""
    process = await asyncio.create_subprocess_exec(
        "node", *arguments, cwd=here, env=env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(180):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


def environment(account: Account) -> dict[str, str]:
    """Give what the SDK looks for; what misses the Ringback that it was pointed at ends at a closed port."""
    return {
        "PATH": os.environ["PATH"],
        "PLIVO_AUTH_ID": account.auth_id,
        "PLIVO_AUTH_TOKEN": account.tokens[0],
        "https_proxy": "http://127.0.0.1:9",
    }
