"""How long lists of messages take an account that has a million of them within the last day."""

import base64
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from benchmarks.databases import DATABASES, Database
from benchmarks.processes import create_account, ringback
from benchmarks.report import Figure, Report, Target, median, percentile, progress
from ringback.model.ids import uuid7
from ringback.model.message import Message
from ringback.store import messages
from ringback.store.port import Transaction

MESSAGES: Final = 1_000_000
BATCH: Final = 5_000
RUNS: Final = 15
SPREAD_S: Final = 20 * 3600

LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "newest": {},
    "offset_900000": {"offset": "900000"},
    "delivered": {"message_state": "delivered"},
    "failed": {"message_state": "failed"},
    "error_code": {"error_code": "30"},
    "queued_of_which_there_are_none": {"message_state": "queued"},
    "inbound_of_which_there_are_none": {"message_direction": "inbound"},
    "to_number": {"to_number": "14155500042"},
    "from_number": {"from_number": "15005550107"},
    "country": {"destination_country_iso2": "DE"},
    "everything": {
        "message_state": "delivered",
        "message_type": "sms",
        "message_direction": "outbound",
        "destination_country_iso2": "US",
        "from_number": "15005550107",
    },
}


def run(directory: Path) -> Report:
    """Ask for every kind of list on both databases."""
    figures: dict[str, Figure] = {}
    targets: list[Target] = []
    yardstick: dict[str, Any] = {"messages": MESSAGES}
    for kind, make in DATABASES.items():
        place = directory / f"listing-{kind}"
        place.mkdir(parents=True)
        with make(place) as database:
            auth_id, token = create_account(database.environment)
            some = _fill(kind, database, auth_id)
            progress(f"listing {kind}: {MESSAGES:,} messages are there")
            with ringback(database.environment, place / "ringback.log") as server:
                ask = asker(f"{server.url}/v1/Account/{auth_id}/Message/", auth_id, token)
                yardstick[f"one_message_p50_ms_{kind}"] = round(median(_times_ms(ask, some)), 2)
                for name, given in LISTS.items():
                    times_ms = _times_ms(ask, "?" + "&".join(f"{key}={value}" for key, value in given.items()))
                    progress(
                        f"listing {kind}: {name}: "
                        f"p50 {median(times_ms):.1f} ms, p95 {percentile(times_ms, 0.95):.1f} ms"
                    )
                    figures[f"{name}_p50_{kind}"] = Figure(median(times_ms), "ms")
                    figures[f"{name}_p95_{kind}"] = Figure(percentile(times_ms, 0.95), "ms")
                    targets.append(Target(f"{name}_p95_{kind}", "at most", 1000))
    return Report(name="listing", yardstick=yardstick, figures=figures, targets=targets)


def _fill(kind: str, database: Database, auth_id: str) -> str:
    """Store the messages, the last of them now; gives the path of one."""
    now_us = time.time_ns() // 1000
    step_us = SPREAD_S * 1_000_000 // MESSAGES

    def batch(first: int) -> Callable[[Transaction], None]:
        new = [_message(auth_id, at, now_us - (MESSAGES - at) * step_us) for at in range(first, first + BATCH)]
        return lambda tx: messages.insert(tx, new)

    for first in range(0, MESSAGES, BATCH):
        database.use(batch(first))
    if kind == "postgres":
        # As its own housekeeping does within a minute.
        database.use(lambda tx: tx.execute(sa.text("ANALYZE messages")))
    newest: str = database.ask("SELECT max(uuid) FROM messages")
    return f"{newest}/"


def _message(auth_id: str, number: int, at_us: int) -> Message:
    status, code = _fate(number)
    is_german = number % 50 == 7
    return Message(
        uuid=uuid7(at_us, number.to_bytes(8, "big")),
        account_id=auth_id,
        direction="outbound",
        type="sms",
        src=f"15005550{100 + number % 10}",
        dst=f"4915112{number % 9973:06d}" if is_german else f"141555{number % 99991:05d}",
        text="Hello",
        encoding="gsm7",
        units=1,
        rate="0.00550",
        log="true",
        trackable=False,
        callback_url=None,
        callback_method="POST",
        requester_ip="127.0.0.1",
        country="DE" if is_german else "US",
        status=status,
        sequence=3,
        error_code=code,
        connector="simulator",
        carrier_ref=f"{number:016x}",
        queued_at_us=at_us,
        sent_at_us=at_us,
        final_at_us=at_us,
        updated_at_us=at_us,
    )


def _fate(number: int) -> tuple[str, str]:
    if number % 100 == 1:
        return "failed", "420"
    return ("undelivered", "30") if number % 25 == 2 else ("delivered", "000")


def asker(url: str, auth_id: str, token: str) -> Callable[[str], Any]:
    """Return what asks the API for what is at a path below a URL, as an account."""
    basic = base64.b64encode(f"{auth_id}:{token}".encode()).decode()

    def ask(path: str) -> Any:
        request = urllib.request.Request(url + path, headers={"Authorization": f"Basic {basic}"})  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    return ask


def _times_ms(ask: Callable[[str], Any], path: str) -> list[float]:
    ask(path)
    times_ms = []
    for _ in range(RUNS):
        started_ns = time.perf_counter_ns()
        answer = ask(path)
        times_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    if "meta" in answer:
        progress(f"  {path}: {answer['meta']['total_count']:,} in all, {len(answer['objects'])} on the page")
    return times_ms
