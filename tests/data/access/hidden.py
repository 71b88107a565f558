"""Something of everything that an account can have, marked so that it is found wherever it is shown.

Whoever adds a kind of thing that the dashboard shows adds one here; whoever adds a page gives it ids in ``FILLED``.
"""

import json
from urllib.parse import urlencode

import msgspec

from ringback.messaging.progress import Change, Progress
from ringback.model.application import Application
from ringback.model.ids import AccountId, NewId, uuid7
from ringback.model.inventory import new_number
from ringback.model.status import Status
from ringback.store import (
    accounts,
    applications,
    audit,
    bins,
    callbacks,
    captures,
    endpoints,
    numbers,
    received,
    replays,
    users,
)
from ringback.store.audit import Actor
from ringback.store.bins import Bin
from ringback.store.callbacks import Attempt, Outcome
from ringback.store.port import Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.replays import FINISHED, Replay
from ringback.store.resends import Filter
from ringback.store.schema_bins import captures as captures_table
from tests.fakes.callbacks import take_due
from tests.fakes.captures import capture
from tests.fakes.messages import message
from tests.fakes.people import user

OURS = AccountId("MAOURSOURSOURSOURSOU")
THEIRS = AccountId("MATHEIRSTHEIRSTHEIRS")
MARK = "xhiddenx"
"""In every text of the other account that a page could show."""
PHONES = ("15005550777", "15005550778")
"""Of the other account's message: from and to."""

MESSAGE, CALLBACK_URL = uuid7(1_700_000_000_000_000, b"distinct"), f"https://{MARK}.example/status"
RECEIVED, REPLAY = (uuid7(1_700_000_000_000_000 + number, b"12345678") for number in (1, 2))
ENDPOINT = endpoints.key(THEIRS, f"https://{MARK}.example")
SOURCE, BIN, USER = f"{MARK}-source", f"{MARK}-bin", f"{MARK}-user"
NUMBER, APP = "14155550777", "17777777777777777"


def add_hidden(tx: Transaction, new_id: NewId, now_us: int) -> None:
    """Add both accounts, and everything of the other."""
    accounts.create(tx, auth_id=OURS, token="a" * 40, name="Ours", now_us=now_us)
    accounts.create(tx, auth_id=THEIRS, token="b" * 40, name=f"{MARK} name", now_us=now_us)
    _add_message(tx, new_id, now_us)
    _add_received(tx, now_us)
    _add_bin(tx, now_us)
    users.add(tx, user(USER, THEIRS, now_us=now_us))
    audit.note(tx, Actor(USER, "user", THEIRS, MARK), "endpoint pause", MARK, now_us=now_us)
    audit.note(tx, Actor(f"{MARK}-operator", "user"), "user add", MARK, now_us=now_us)
    applications.create(
        tx, Application(app_id=APP, account_id=THEIRS, subaccount_id=None, name=f"{MARK} app", created_at_us=now_us)
    )
    offered = new_number(NUMBER, carrier=MARK)
    numbers.add(tx, [msgspec.structs.replace(offered, account_id=THEIRS, app_id=APP, alias=f"{MARK} alias")])
    replays.add(
        tx,
        Replay(
            id=REPLAY,
            account_id=THEIRS,
            wanted=Filter(account_id=THEIRS, endpoint=f"https://{MARK}.example"),
            rate_per_s=1,
            total=1,
            counted_all=True,
            done=1,
            state=FINISHED,
            after_id="",
            created_at_us=now_us,
            updated_at_us=now_us,
            due_at_us=None,
        ),
    )


def _add_message(tx: Transaction, new_id: NewId, now_us: int) -> None:
    new = message(
        uuid=MESSAGE,
        account_id=THEIRS,
        src=PHONES[0],
        dst=PHONES[1],
        text=f"{MARK} text",
        queued_at_us=now_us,
        updated_at_us=now_us,
        callback_url=CALLBACK_URL,
    )
    progress = Progress(new_id)
    progress.accept(new)
    standing = progress.change(new, Change(status=Status.SENT, at_us=now_us, detail=f"{MARK} detail"))
    progress.change(standing, Change(status=Status.FAILED, at_us=now_us, error_code="450"))
    progress.write(tx)
    due = take_due(tx, now_us=now_us, lease_until_us=now_us + 1)
    callbacks.record(tx, [_given_up(each, now_us) for each in due])


def _given_up(callback: callbacks.DueCallback, now_us: int) -> Outcome:
    attempt = Attempt(
        callback_id=callback.id,
        number=1,
        planned_at_us=now_us,
        started_at_us=now_us,
        duration_us=1,
        outcome="http_status",
        http_status=503,
        request_headers=json.dumps([["User-Agent", MARK]]),
        response_headers=json.dumps([["Server", MARK]]),
        response_body=MARK.encode(),
        error=MARK,
    )
    return Outcome(
        callback=callback,
        attempt=attempt,
        attempts_made=1,
        state="given_up",
        next_due_at_us=None,
        recorded_at_us=now_us,
    )


def _add_received(tx: Transaction, now_us: int) -> None:
    params = {"MessageUUID": MESSAGE, "Status": "sent", "From": PHONES[0], "To": PHONES[1], "Note": MARK}
    request = ReceivedRequest(
        id=RECEIVED,
        source=SOURCE,
        received_at_us=now_us,
        method="POST",
        target=f"/hooks/{SOURCE}/status",
        headers=json.dumps([["host", MARK], ["content-type", "application/x-www-form-urlencoded"]]),
        body=urlencode(params).encode(),
        peer=MARK,
        verdict="v3",
        accepted=True,
    )
    said = ReceivedEvent(
        request_id=RECEIVED,
        source=SOURCE,
        message_uuid=MESSAGE,
        status="sent",
        sequence=1,
        from_number=PHONES[0],
        to_number=PHONES[1],
        error_code=None,
        mcc=None,
        mnc=None,
        units=1,
        total_amount=None,
        received_at_us=now_us,
    )
    received.store(tx, [request], [said])


def _add_bin(tx: Transaction, now_us: int) -> None:
    made = Bin(
        id="b",
        name=BIN,
        account_id=THEIRS,
        created_at_us=now_us,
        max_captures=10,
        max_bytes=10_000,
        retention_s=0,
        password_hash=None,
        script=None,
        script_from=0,
        last_number=1,
        captures=1,
        bytes=len(MARK),
    )
    bins.create(tx, made, most=10)
    kept = capture(received_at_us=now_us, body=MARK.encode(), body_size=len(MARK), size=len(MARK))
    columns = {name: value for name, value in msgspec.structs.asdict(kept).items() if name in captures_table.c}
    tx.execute(captures_table.insert().values(columns))
    assert captures.one(tx, "b", 1) is not None
