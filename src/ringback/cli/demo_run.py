"""The demo's traffic: sent through the official SDK, then accounted for, callback by callback."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Final

import msgspec

from ringback.model.message import Message
from ringback.model.status import FINAL, Status
from ringback.store import callbacks, messages, received
from ringback.store.accounts import Account
from ringback.store.port import Store, Transaction
from ringback.store.received import ReceivedEvent

SDK: Final = "plivo"
"""Imported when it is needed: every process of a server would have its 12 MB otherwise."""
SENDERS: Final = 8
SRC: Final = "15005550100"
PREFIXES: Final = ("1415555", "4477009", "9198765", "4915123", "3361234", "5511987")
FIXED_ENDINGS: Final = ("15005550030", "15005550080", "15005550001")
FIXED_EVERY: Final = 10
MAX_LISTED: Final = 20


class Sent(msgspec.Struct, frozen=True):
    """What the SDK was told was accepted."""

    uuids: list[str]
    refused: list[str]


class CallbackCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Callbacks as the sending side and the receiving side each count them."""

    sent: int
    received: int
    verified: int
    duplicate: int
    out_of_order: int


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles in seconds; ``None`` when nothing was measured."""

    p50: float | None
    p95: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the demo's messages."""

    accepted: int
    final_by_status: dict[str, int]
    callbacks: CallbackCounts
    accept_to_last_callback_s: Seconds
    explained: list[str]
    unexplained: list[str]
    complete: bool
    """Every status sent was received exactly once, or is explained."""


def send_all(*, base_url: str, account: Account, callback_url: str, count: int) -> Sent:
    """Send ``count`` messages with the official SDK, several at a time; half the callbacks by GET."""
    # The SDK has no option for the base URL; its module constants are what it builds every URL from.
    plivo, client = import_module(SDK), import_module(f"{SDK}.rest.client")
    constants = (
        "PLIVO_API_BASE_URI",
        "API_VOICE_BASE_URI",
        "API_VOICE_BASE_URI_FALLBACK_1",
        "API_VOICE_BASE_URI_FALLBACK_2",
    )
    for name in constants:
        setattr(client, name, f"{base_url}/v1/Account")

    def send(numbers: list[tuple[int, str]]) -> Sent:
        sent = Sent([], [])
        with plivo.RestClient(account.auth_id, account.tokens[0]) as sdk:
            for at, number in numbers:
                try:
                    response = sdk.messages.create(
                        src=SRC,
                        dst=number,
                        text=f"Ringback demo message {at}",
                        url=callback_url,
                        method="GET" if at % 2 else "POST",
                    )
                except plivo.exceptions.PlivoRestError as error:
                    sent.refused.append(f"{number}: {error}")
                else:
                    sent.uuids.extend(response.message_uuid)
        return sent

    numbers = list(enumerate(itertools.islice(_destinations(), count)))
    with ThreadPoolExecutor(SENDERS) as pool:
        parts = list(pool.map(send, (numbers[start::SENDERS] for start in range(SENDERS))))
    return Sent(
        uuids=[uuid for part in parts for uuid in part.uuids],
        refused=[text for part in parts for text in part.refused],
    )


def _destinations() -> Iterator[str]:
    """Give numbers of several countries, every tenth with a fixed ending."""
    for at in itertools.count():
        if at % FIXED_EVERY == 0:
            yield FIXED_ENDINGS[at // FIXED_EVERY % len(FIXED_ENDINGS)]
        else:
            yield f"{PREFIXES[at % len(PREFIXES)]}{at % 10_000:04d}"


async def wait_until_settled(
    store: Store, receipts_to_come: Callable[[], int], sent: Sent, *, timeout_s: float
) -> AsyncIterator[int]:
    """Yield how many messages are settled, until all are and no callback is owed, or time is up.

    A message is settled in a final status, or in ``sent`` when its carrier has nothing more to say.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s

    def look(tx: Transaction) -> tuple[Counter[str], int]:
        found = messages.by_uuid(tx, sent.uuids)
        return Counter(message.status for message in found.values()), callbacks.waiting(tx)

    while asyncio.get_running_loop().time() < deadline:
        # Asked first: a receipt that is stored while the database is read would be in neither.
        pending = receipts_to_come()
        by_status, waiting = await store.read(look)
        final = sum(by_status[status] for status in FINAL)
        silent = by_status[Status.SENT] if pending == 0 else 0
        yield final + silent
        if final + silent == len(sent.uuids) and waiting == 0:
            return
        await asyncio.sleep(0.1)


def account_for(tx: Transaction, sent: Sent, *, source: str) -> Report:
    """Compare what was sent with what was received, message by message and status by status."""
    found = messages.by_uuid(tx, sent.uuids)
    owed = callbacks.owed_for(tx, sent.uuids)
    arrived = received.of_messages(tx, sent.uuids)
    totals = received.totals_by_source(tx).get(source, received.NOTHING)
    delivered: Counter[tuple[str, int | None]] = Counter(
        (callback.message_uuid, callback.sequence) for callback in owed if callback.state == "delivered"
    )
    seen = Counter((event.message_uuid, event.sequence) for event in arrived if event.flag != "duplicate")
    explained, unexplained = _explanations(found), list(sent.refused)
    unexplained += [f"{uuid} sequence {n}: sent, not received" for uuid, n in delivered - seen]
    unexplained += [f"{uuid} sequence {n}: received, not recorded as sent" for uuid, n in seen - delivered]
    unexplained += [
        f"{callback.message_uuid} sequence {callback.sequence}: {callback.state} to {callback.url}"
        for callback in owed
        if callback.state != "delivered"
    ]
    unexplained += [
        f"{event.message_uuid} {event.status}: received twice" for event in arrived if event.flag == "duplicate"
    ]
    if totals.rejected:
        unexplained.append(f"{totals.rejected} callbacks were not verified")
    unexplained += [f"{message.uuid}: still queued" for message in found.values() if message.status == Status.QUEUED]
    return Report(
        accepted=len(sent.uuids),
        final_by_status=dict(Counter(message.status for message in found.values())),
        callbacks=CallbackCounts(
            sent=len(owed),
            received=len(arrived),
            verified=sum(1 for event in arrived if event.flag != "duplicate"),
            duplicate=totals.duplicate,
            out_of_order=totals.out_of_order,
        ),
        accept_to_last_callback_s=_latency(found, arrived),
        explained=explained,
        unexplained=[*unexplained[:MAX_LISTED], *_and_more(unexplained)],
        complete=not unexplained,
    )


def _and_more(texts: list[str]) -> list[str]:
    return [f"and {len(texts) - MAX_LISTED} more"] if len(texts) > MAX_LISTED else []


def _explanations(found: dict[str, Message]) -> list[str]:
    silent = sum(1 for message in found.values() if message.status == Status.SENT)
    return [f"{silent} messages end as sent: the simulated carrier gives no receipt for them"] if silent else []


def _latency(found: dict[str, Message], arrived: list[ReceivedEvent]) -> Seconds:
    last: dict[str, int] = {}
    for event in arrived:
        last[event.message_uuid] = max(last.get(event.message_uuid, 0), event.received_at_us)
    took = sorted((at_us - found[uuid].queued_at_us) / 1_000_000 for uuid, at_us in last.items())

    def percentile(fraction: float) -> float | None:
        return round(took[min(int(fraction * len(took)), len(took) - 1)], 3) if took else None

    return Seconds(p50=percentile(0.5), p95=percentile(0.95))
