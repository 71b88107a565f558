"""Rows of a certain age."""

import sqlalchemy as sa

from ringback.messaging.progress import Progress
from ringback.model.ids import uuid7
from ringback.store import callbacks, received, submissions
from ringback.store.port import Store, Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.schema import attempts, callback_queue, metadata
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message, message_uuid

DAY_US = 86_400_000_000


def age(days: float) -> int:
    """The time so many days before that of a new ``FakeClock``."""
    return FakeClock().now_us() - round(days * DAY_US)


async def keep_message(store: Store, number: int, at_us: int, *, queued: bool = False, waiting: bool = False) -> None:
    """Store a message with event, callback, attempt and counts; its callback still queued or its submission waiting."""

    def work(tx: Transaction) -> None:
        progress = Progress(lambda now_us: uuid7(now_us, number.to_bytes(8, "big")))
        uuid = message_uuid(number)
        progress.accept(message(uuid=uuid, queued_at_us=at_us, updated_at_us=at_us))
        progress.write(tx)
        (owed,) = callbacks.owed_for(tx, [uuid])
        tx.execute(
            attempts.insert().values(
                callback_id=owed.id, number=1, planned_at_us=at_us, started_at_us=at_us, duration_us=1, outcome="ok",
                http_status=200, request_headers="[]", response_headers="[]", response_body=b"", error=None,
            )
        )  # fmt: skip
        if not queued:
            tx.execute(callback_queue.delete().where(callback_queue.c.message_uuid == uuid))
        if waiting:
            row = {
                "message_uuid": uuid, "account_id": owed.account_id, "src": "1", "dst": "2", "text": "",
                "attempts_made": 0, "expires_at_us": at_us, "due_at_us": at_us, "lease_token": None,
            }  # fmt: skip
            submissions.add(tx, [row])

    await store.write(work)


async def keep_received(store: Store, number: int, at_us: int) -> None:
    """Store a received request that was accepted."""
    id_ = uuid7(at_us, number.to_bytes(8, "big"))
    request = ReceivedRequest(
        id=id_, source="prov", received_at_us=at_us, method="POST", target="/", headers="[]", body=b"", peer="",
        verdict="v3", accepted=True,
    )  # fmt: skip
    event = ReceivedEvent(
        request_id=id_, source="prov", message_uuid=f"m-{number}", status="sent", sequence=2, from_number="1",
        to_number="2", error_code=None, mcc=None, mnc=None, units=1, total_amount=None, received_at_us=at_us,
    )  # fmt: skip
    await store.write(lambda tx: received.store(tx, [request], [event]))


async def counts(store: Store) -> dict[str, int]:
    """How many rows each table has."""
    query = sa.select(
        *(sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in metadata.tables.values())
    )
    found = await store.read(lambda tx: tx.execute(query).one())
    return dict(zip(metadata.tables, found, strict=True))
