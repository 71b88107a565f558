"""One of everything that a page can show, with the longest words that it may have to hold."""

import json
from typing import Any

import msgspec

from ringback.carriers.port import Exchange, Snapshot
from ringback.dialect.callbacks import FORM
from ringback.inspector import script
from ringback.model.circuit import Circuit, CircuitState
from ringback.model.inventory import new_number
from ringback.model.message import Message
from ringback.model.routes import Carrier, Route
from ringback.store import bins, captures, endpoints, numbers, replays, routing
from ringback.store.bins import Bin
from ringback.store.captures import Answered, NewCapture, Planned
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from tests.data.dashboard.seeding import MAIN
from tests.fakes.messages import message_uuid


def trouble(tx: Transaction) -> list[Endpoint]:
    """Let an endpoint be in each state; gives them."""
    found = endpoints.page(tx, limit=len(CircuitState))
    states = [
        Circuit(state=state, reason="some reason that takes a line or two to be told in full", probe_at_us=1)
        for state in CircuitState
    ]
    endpoints.save(
        tx, [msgspec.structs.replace(each, circuit=state) for each, state in zip(found, states, strict=True)]
    )
    endpoints.configure(tx, found[-1].id, concurrency=8, rate_per_minute=600, retry_delays="[60,600]", keep_parked=True)
    return found


def replay_in_every_state(tx: Transaction, now_us: int) -> None:
    """Let replays run, wait for somebody, and have ended; of one nobody knows how much it takes."""
    down = Filter(state="given_up", endpoint="https://a-host-of-a-very-long-name.that-never-seems.to-end.example:8443")
    runs = Replay(
        id=message_uuid(1), account_id=None, wanted=down, rate_per_s=12.5, total=1200, done=500, state="running",
        after_id="", created_at_us=now_us, updated_at_us=now_us, due_at_us=now_us,
    )  # fmt: skip
    others: list[dict[str, Any]] = [
        {"due_at_us": now_us - 60_000_000, "account_id": MAIN},
        {"total": 100_000, "counted_all": False, "done": 70_000, "wanted": Filter(ended=True, until_us=now_us)},
        {"state": "finished", "done": 1200, "due_at_us": None, "rate_per_s": 1000},
        {"state": "cancelled", "due_at_us": None, "wanted": Filter(account_id=MAIN, not_resent=True, since_us=now_us)},
    ]
    for number, fields in enumerate([{}, *others]):
        replays.add(tx, msgspec.structs.replace(runs, **{"id": message_uuid(number), **fields}))


def stock(tx: Transaction, message: Message) -> None:
    """Let there be numbers, and one that all there is can be said of."""
    new = [new_number(number, carrier="Ringback") for number in ("14155550100", "14155550101")]
    owned = {"account_id": message.account_id, "alias": "the desk in the hall " * 6, "app_id": "10000000000000001"}
    numbers.add(tx, [msgspec.structs.replace(new[0], powerpack_uuid=message.uuid, **owned), new[1]])


def capture(now_us: int, **changes: Any) -> NewCapture:
    """Make a request that a bin has captured."""
    fields: dict[str, Any] = {
        "bin": "shop", "received_at_us": now_us, "method": "POST", "path": "/bin/shop/" + "a-long-path" * 20,
        "query": "x=%20" * 30, "headers": json.dumps(
            [["Content-Type", FORM], ["X-Long", "value" * 60], ["X-Plivo-Signature-V3", "YWJj"], ["Host", "h.example"]]
        ),
        "body": b"MessageUUID=m&Status=sent&From=1&To=%2B2", "cut": "", "peer": "2001:db8:ffff:ffff:ffff:ffff::1",
        "group_key": "k",
    }  # fmt: skip
    return NewCapture(**fields | changes)


def fill_bin(tx: Transaction, now_us: int) -> None:
    """Let there be a bin with all that one can hold."""
    shop = Bin(
        id=message_uuid(1), name="shop", account_id=None, created_at_us=now_us, max_captures=100, max_bytes=10**6,
        retention_s=3600, password_hash=None, script=script.encode(script.read("callback:500x2,hang:20,reset,200")),
        script_from=0,
    )  # fmt: skip
    bins.create(tx, shop, most=10)
    new = [
        capture(now_us),
        capture(now_us + 61_000_000, body=b"\x00\xff" * 300, cut="too_large"),
        capture(now_us + 300_000_000),
        capture(now_us + 301_000_000, group_key="other", body=b'{"a": [1, 2]}'),
    ]
    captures.store(tx, new, lambda _, position, __, ___: Planned("answer", 500 if position < 2 else 200))
    ended = [Answered(bin_id=shop.id, number=at, duration_us=at * 10**6, outcome="answered") for at in (1, 2, 3)]
    captures.note_answered(tx, ended)


def link_carriers(tx: Transaction, now_us: int) -> None:
    """A carrier over SMPP with a troubled link, and routes that lead there."""
    settings = {"host": "smsc.a-host-of-a-very-long-name.example", "system_id": "ringback", "password": "secret"}
    routing.put_carrier(tx, Carrier(name="north", kind="smpp", settings=settings), now_us=now_us)
    routing.put_route(tx, Route(name="germany", carrier="north", prefix="49", sender="Shop*"), now_us=now_us)
    said = ("submit_sm #7, 70 bytes, esm_class 0x00, data_coding 0x00", "submit_sm_resp ESME_RTHROTTLED #7, 16 bytes")
    snapshot = Snapshot(
        state="down",
        since_us=now_us,
        detail="north-1 down: no connection within 10 s",
        window_allowed=25,
        errors={"ESME_RTHROTTLED": 1_200, "ESME_RX_T_APPN": 3, "vendor 0x0000045a": 1},
        exchanges=tuple(Exchange(at_us=now_us, direction="out", what=each) for each in said),
    )
    told = msgspec.json.encode(snapshot).decode()
    routing.note_links(tx, [routing.Link(carrier="north", node="a-machine:12345", at_us=now_us, snapshot=told)])
