"""A day of traffic for the dashboard to show: the same one for the same seed.

Messages go through the same code as real ones, so that counts, events and callbacks agree with each other.
"""

import json
import random
from urllib.parse import urlencode

import msgspec

from ringback.messaging.progress import Change, Progress
from ringback.model import numbers
from ringback.model.ids import AccountId, NewId
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.store import accounts, callbacks, received
from ringback.store.callbacks import Attempt, DueCallback, Outcome
from ringback.store.port import Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from tests.fakes.callbacks import take_due
from tests.fakes.messages import message

HOUR_US = 3_600_000_000
MAIN = AccountId("MAZTQ0MWQ1NJC5ZDBIYT")
SECOND = AccountId("MAMJK3NTGYOTQ2ZWU1NJ")

TEXTS = (
    "Your code is 482 913. It is valid for 10 minutes.",
    "Your parcel arrives today between 14:00 and 16:00. Track it: https://t.example.com/p/8841",
    "Reminder: appointment tomorrow at 09:30. Reply STOP to opt out.",
    "Grüezi! Ihre Bestellung ist unterwegs 📦",
)
DESTINATIONS = ("1415555", "1212555", "4479460", "4915123", "9198765", "6591234")
ERRORS = (("30", 5), ("50", 4), ("80", 8), ("20", 2), ("100", 1))
CALLBACK_URLS = (
    "https://shop.example.com/sms/status",
    "https://shop.example.com/sms/status",
    "https://crm.example.net/hooks/delivery?tenant=42",
    "https://down.example.org/status",
)


def add_accounts(tx: Transaction, now_us: int) -> None:
    """Add the two accounts that the messages belong to."""
    accounts.create(tx, auth_id=MAIN, token="a" * 40, name="Shop", now_us=now_us)
    accounts.create(tx, auth_id=SECOND, token="b" * 40, name="Clinic", now_us=now_us + 1)


def add_day(tx: Transaction, new_id: NewId, *, now_us: int, count: int, seed: int = 7) -> list[Message]:
    """Add ``count`` messages of the last 24 hours with what followed from each; returns them as they stand."""
    chance = random.Random(seed)
    add_accounts(tx, now_us - 24 * HOUR_US)
    times = sorted(now_us - round(chance.triangular(0, 24, 1) * HOUR_US) for _ in range(count))
    out = [_live_through(tx, new_id, _new(chance, new_id, queued_at_us), chance, now_us) for queued_at_us in times]
    _call_back(tx, chance, now_us)
    _receive(tx, chance, new_id, out)
    return out


def _new(chance: random.Random, new_id: NewId, at_us: int) -> Message:
    text = chance.choice(TEXTS)
    log = chance.choices(("true", "false", "content_only", "number_only"), (90, 5, 3, 2))[0]
    dst = chance.choice(DESTINATIONS) + f"{chance.randrange(10_000):04d}"
    return message(
        uuid=new_id(at_us),
        account_id=chance.choices((MAIN, SECOND), (4, 1))[0],
        src=chance.choice(("14155550100", "18005550199", "Acme")),
        dst=dst,
        text=text if log in ("true", "content_only") else None,
        encoding="gsm7" if text.isascii() else "ucs2",
        units=1 if text.isascii() else 2,
        log=log,
        callback_url=chance.choices((*CALLBACK_URLS, None), (6, 6, 5, 1, 2))[0],
        country=numbers.country(dst),
        queued_at_us=at_us,
        updated_at_us=at_us,
        requester_ip="203.0.113.7",
    )


def _live_through(tx: Transaction, new_id: NewId, new: Message, chance: random.Random, now_us: int) -> Message:
    progress = Progress(new_id)
    progress.accept(new)
    progress.write(tx)
    standing = new
    for change in _changes(new, chance):
        if change.at_us > now_us:
            break
        # What was due before this change was attempted before it.
        _call_back(tx, chance, change.at_us)
        progress = Progress(new_id)
        standing = progress.change(standing, change)
        progress.write(tx)
    return standing


def _changes(new: Message, chance: random.Random) -> list[Change]:
    sent_at_us = new.queued_at_us + round(chance.lognormvariate(-0.9, 0.5) * 1_000_000)
    if chance.random() < 0.02:
        return [Change(status=Status.FAILED, at_us=sent_at_us, error_code="420")]
    carrier_ref = new.uuid[-12:]
    sent = Change(
        status=Status.SENT,
        at_us=sent_at_us,
        connector="simulator",
        carrier_ref=carrier_ref,
        mcc="310",
        mnc="260",
        network="Example Mobile",
    )
    if chance.random() < 0.04:
        return [sent]
    bad = chance.random() < 0.07
    code = chance.choices([code for code, _ in ERRORS], [weight for _, weight in ERRORS])[0] if bad else "000"
    receipt = Change(
        status=Status.UNDELIVERED if bad else Status.DELIVERED,
        at_us=sent_at_us + round(chance.lognormvariate(1.1, 0.8) * 1_000_000),
        error_code=code,
        detail=f"id:{carrier_ref} stat:{'UNDELIV' if bad else 'DELIVRD'} err:{code}",
    )
    if chance.random() < 0.03:
        return [sent, receipt, msgspec.structs.replace(receipt, at_us=receipt.at_us + 2_000_000)]
    return [sent, receipt]


def _call_back(tx: Transaction, chance: random.Random, until_us: int) -> None:
    while due := take_due(tx, now_us=until_us - 1, lease_until_us=until_us + HOUR_US):
        callbacks.record(tx, [_attempt(callback, chance) for callback in due])


def _attempt(callback: DueCallback, chance: random.Random) -> Outcome:
    number = callback.attempts_made + 1
    started_at_us = callback.planned_at_us + round(chance.expovariate(1 / 8_000))
    http_status, outcome, error, body = 200, "ok", None, b'{"ok":true}'
    took_us = round(chance.lognormvariate(4.2, 0.6) * 1000)
    if "down.example.org" in callback.url:
        http_status, outcome, error, body = None, "connect", "connection refused", b""
    elif chance.random() < 0.06:
        http_status, outcome, error = 502, "http_status", "answered 502 Bad Gateway"
        body = b"<html><h1>502 Bad Gateway</h1></html>\r\n"
    delays_us = (60_000_000, 120_000_000, 240_000_000)
    again = outcome != "ok" and number <= len(delays_us)
    return Outcome(
        callback=callback,
        attempt=Attempt(
            callback_id=callback.id,
            number=number,
            planned_at_us=callback.planned_at_us,
            started_at_us=started_at_us,
            duration_us=took_us,
            outcome=outcome,
            http_status=http_status,
            request_headers=json.dumps(
                [
                    ["User-Agent", "Ringback/0.1.0"],
                    ["X-Plivo-Signature-V3", "nlhGQd6lyxIm5oIyNeVrIggJLmO9tqXsX1gxInYCWbs="],
                    ["X-Plivo-Signature-V3-Nonce", "05429567804466091622"],
                    ["Content-Type", "application/x-www-form-urlencoded"],
                ]
            ),
            response_headers=json.dumps(
                [["Server", "nginx"], ["Content-Type", "application/json"], ["Content-Length", str(len(body))]]
                if http_status
                else []
            ),
            response_body=body,
            error=error,
        ),
        attempts_made=number,
        state="delivered" if outcome == "ok" else "pending" if again else "given_up",
        next_due_at_us=started_at_us + delays_us[number - 1] if again else None,
        recorded_at_us=started_at_us + took_us,
    )


def _receive(tx: Transaction, chance: random.Random, new_id: NewId, sent: list[Message]) -> None:
    for item in sent:
        for callback, attempts in callbacks.of_message(tx, item.uuid):
            if "shop.example.com" not in callback.url or not attempts or attempts[-1].outcome != "ok":
                continue
            at_us = attempts[-1].started_at_us + 3_000
            params = dict(json.loads(callback.params))
            for late_us in (0, 90_000) if chance.random() < 0.04 else (0,):
                request, said = arrival(new_id, at_us + late_us, params)
                received.store(tx, [request], [said])
    rejected_at_us = sent[-1].queued_at_us + 500_000
    received.store(tx, [rejection(new_id, rejected_at_us)], [])


def arrival(new_id: NewId, at_us: int, params: dict[str, str]) -> tuple[ReceivedRequest, ReceivedEvent]:
    """Make an accepted request and what it says."""
    request_id = new_id(at_us)
    request = ReceivedRequest(
        id=request_id,
        source="main",
        received_at_us=at_us,
        method="POST",
        target="/hooks/main/status",
        headers=json.dumps(
            [
                ["host", "shop.example.com"],
                ["content-type", "application/x-www-form-urlencoded"],
                ["x-plivo-signature-v3", "nlhGQd6lyxIm5oIyNeVrIggJLmO9tqXsX1gxInYCWbs="],
                ["x-plivo-signature-v3-nonce", "05429567804466091622"],
            ]
        ),
        body=urlencode(params).encode(),
        peer="198.51.100.23",
        verdict="v3",
        accepted=True,
    )
    said = ReceivedEvent(
        request_id=request_id,
        source="main",
        message_uuid=params["MessageUUID"],
        status=params["Status"],
        sequence=int(params["Sequence"]),
        from_number=params["From"],
        to_number=params["To"],
        error_code=params.get("ErrorCode"),
        mcc=params.get("MCC"),
        mnc=params.get("MNC"),
        units=int(params["Units"]),
        total_amount=params.get("TotalAmount"),
        received_at_us=at_us,
    )
    return request, said


def rejection(new_id: NewId, at_us: int, **changes: object) -> ReceivedRequest:
    """Make a request that was refused."""
    request = ReceivedRequest(
        id=new_id(at_us),
        source="main",
        received_at_us=at_us,
        method="POST",
        target="/hooks/main/status",
        headers=json.dumps([["host", "shop.example.com"], ["content-type", "application/x-www-form-urlencoded"]]),
        body=b"MessageUUID=1&Status=delivered&From=1&To=2",
        peer="192.0.2.66",
        verdict="no_signature",
        accepted=False,
    )
    return msgspec.structs.replace(request, **changes)
