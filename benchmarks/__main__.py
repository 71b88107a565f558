"""``python -m benchmarks NAME [--json]``: measure, and compare with a yardstick of the same run."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import accept, alerts, bins, delivery, gateway, listing, punctuality, receive, recovery
from benchmarks.report import Report

BENCHMARKS: Final[dict[str, Callable[[Path], Report]]] = {
    "accept": accept.run,
    "receive": receive.run,
    "delivery": delivery.run,
    "punctuality": punctuality.run,
    "recovery": recovery.run,
    "listing": listing.run,
    "gateway": gateway.run,
    "bins": bins.run,
    "alerts": alerts.run,
}


def main() -> None:
    """Run benchmarks by name; ``all`` runs every one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="print one JSON line for each benchmark")
    parser.add_argument("--directory", type=Path, help="where data is kept; a temporary directory without it")
    wanted = parser.parse_args()
    needed = ["wrk", "nginx", *(["bearerbox"] if wanted.name in {"gateway", "all"} else [])]
    needed += ["chromium"] if wanted.name in {"bins", "all"} else []
    needed = [] if wanted.name == "alerts" else needed
    if missing := [tool for tool in needed if not shutil.which(tool, path="/usr/bin:/usr/sbin:/usr/local/bin")]:
        sys.exit(
            f"missing: {', '.join(missing)}. Install them: scripts/install-system-packages wrk nginx kannel chromium"
        )
    for name in BENCHMARKS if wanted.name == "all" else [wanted.name]:
        with tempfile.TemporaryDirectory(prefix="ringback-bench-", dir=wanted.directory) as directory:
            report = BENCHMARKS[name](Path(directory))
        print(report.as_json() if wanted.json else report.as_text(), flush=True)


if __name__ == "__main__":
    main()
