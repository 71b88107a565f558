"""``python -m benchmarks NAME [--json]``: measure, and compare with a yardstick of the same run."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import accept, alerts, analytics, bins, delivery, gateway, listing, punctuality, receive, recovery
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
    "analytics": analytics.run,
    "alerts": alerts.run,
}


def main() -> None:
    """Run benchmarks by name; ``all`` runs every one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="print one JSON line for each benchmark")
    parser.add_argument("--directory", type=Path, help="where data is kept; a temporary directory without it")
    parser.add_argument(
        "--messages", type=int, default=250_000, help="of analytics: how many messages it has; 5000000 for a full run"
    )
    parser.add_argument("--history", type=Path, help="of analytics: a data directory of ringback generate to copy")
    wanted = parser.parse_args()
    BENCHMARKS["analytics"] = analytics.of_size(analytics.Size(messages=wanted.messages, history=wanted.history))
    needed = [] if wanted.name in {"analytics", "alerts"} else ["wrk", "nginx"]
    needed += ["bearerbox"] if wanted.name in {"gateway", "all"} else []
    needed += ["chromium"] if wanted.name in {"bins", "analytics", "all"} else []
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
