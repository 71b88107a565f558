"""What is still to be done about inbound messages: callbacks that have ended, and messages that are to be simulated.

Both tables are hot. A result is leased, and removed by whoever records what follows from it; a request is leased, and
stays with its answer until it is old.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.dialect.inbound import storable
from ringback.store.port import Transaction
from ringback.store.schema import attempts, inbound_requests, inbound_results

_LONGEST: Final = 64

_encode_urls = msgspec.json.Encoder().encode
_decode_urls = msgspec.json.Decoder(tuple[str, ...]).decode


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A callback of an inbound message that has ended, leased under ``lease_token``."""

    callback_id: str
    message_uuid: str
    account_id: str
    state: str
    """``delivered`` or ``given_up``."""
    ended_at_us: int
    lease_token: str
    response_headers: str
    """JSON pairs of the answer that ended it; ``[]`` when there was none."""
    response_body: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An inbound message that the simulated carrier is to bring."""

    id: str
    src: str
    dst: str
    type: str
    text: str | None
    media_urls: tuple[str, ...]
    requested_at_us: int
    message_uuid: str | None = None
    """The message that came of it."""
    refusal: str | None = None
    """Why none came of it."""
    lease_token: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether it is known what came of it."""
        return self.message_uuid is not None or self.refusal is not None


# Statements that run all the time are built once: building one costs more than running it.

_NEXT_RESULT: Final = sa.select(sa.func.min(inbound_results.c.due_at_us))
_NEXT_REQUEST: Final = sa.select(sa.func.min(inbound_requests.c.due_at_us))
_DUE_RESULTS: Final = (
    sa.select(inbound_results)
    .where(inbound_results.c.due_at_us <= sa.bindparam("now_us"))
    .order_by(inbound_results.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_DUE_REQUESTS: Final = (
    sa.select(inbound_requests)
    .where(inbound_requests.c.due_at_us <= sa.bindparam("now_us"))
    .order_by(inbound_requests.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_HELD: Final = (
    sa.select(inbound_results.c.callback_id)
    .where(inbound_results.c.callback_id == sa.bindparam("id"), inbound_results.c.lease_token == sa.bindparam("token"))
    .with_for_update()
)


def next_result_at_us(tx: Transaction) -> int | None:
    """Return when the next result is due."""
    due: int | None = tx.execute(_NEXT_RESULT).scalar_one()
    return due


def claim_results(tx: Transaction, *, now_us: int, lease_until_us: int, lease_token: str, limit: int) -> list[Result]:
    """Lease up to ``limit`` results, those due longest first, each with the answer that ended its callback."""
    rows = tx.execute(_DUE_RESULTS, {"now_us": now_us, "limit": limit}).all()
    if not rows:
        return []
    ids = [row.callback_id for row in rows]
    tx.execute(
        inbound_results.update()
        .where(inbound_results.c.callback_id.in_(ids))
        .values(due_at_us=lease_until_us, lease_token=lease_token)
    )
    made = tx.execute(sa.select(attempts).where(attempts.c.callback_id.in_(ids)))
    answers = {(row.callback_id, row.number): row for row in made}
    found = []
    for row in rows:
        answer = answers.get((row.callback_id, row.attempt_number))
        found.append(
            Result(
                callback_id=row.callback_id,
                message_uuid=row.message_uuid,
                account_id=row.account_id,
                state=row.state,
                ended_at_us=row.ended_at_us,
                lease_token=lease_token,
                response_headers=answer.response_headers if answer else "[]",
                response_body=bytes(answer.response_body) if answer else b"",
            )
        )
    return found


def finish_result(tx: Transaction, result: Result) -> bool:
    """Remove a result if its lease is still the given one; whoever has lost it must change nothing."""
    if tx.execute(_HELD, {"id": result.callback_id, "token": result.lease_token}).first() is None:
        return False
    tx.execute(inbound_results.delete().where(inbound_results.c.callback_id == result.callback_id))
    return True


def request(tx: Transaction, new: Request) -> None:
    """Ask for an inbound message; it is due at once."""
    values = msgspec.structs.asdict(new) | {
        "src": storable(new.src)[:_LONGEST],
        "dst": storable(new.dst)[:_LONGEST],
        "text": storable(new.text or ""),
        "media_urls": _encode_urls(tuple(storable(url) for url in new.media_urls)).decode(),
        "due_at_us": new.requested_at_us,
    }
    tx.execute(inbound_requests.insert().values(values))


def next_request_at_us(tx: Transaction) -> int | None:
    """Return when the next request is due."""
    due: int | None = tx.execute(_NEXT_REQUEST).scalar_one()
    return due


def claim_requests(tx: Transaction, *, now_us: int, lease_until_us: int, lease_token: str, limit: int) -> list[Request]:
    """Lease up to ``limit`` requests that nobody has answered, those due longest first."""
    rows = tx.execute(_DUE_REQUESTS, {"now_us": now_us, "limit": limit}).all()
    if rows:
        tx.execute(
            inbound_requests.update()
            .where(inbound_requests.c.id.in_([row.id for row in rows]))
            .values(due_at_us=lease_until_us, lease_token=lease_token)
        )
    return [msgspec.structs.replace(_request(row), lease_token=lease_token) for row in rows]


def answer_request(
    tx: Transaction, claimed: Request, *, message_uuid: str | None = None, refusal: str | None = None
) -> None:
    """Note what came of a request; its text is not kept."""
    tx.execute(
        inbound_requests.update()
        .where(inbound_requests.c.id == claimed.id, inbound_requests.c.lease_token == claimed.lease_token)
        .values(due_at_us=None, lease_token=None, text=None, message_uuid=message_uuid, refusal=refusal)
    )


def find_request(tx: Transaction, request_id: str) -> Request | None:
    """Return a request."""
    row = tx.execute(sa.select(inbound_requests).where(inbound_requests.c.id == request_id)).one_or_none()
    return _request(row) if row else None


def _request(row: sa.Row[tuple[object, ...]]) -> Request:
    kept = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    del kept["due_at_us"]
    return Request(**kept | {"media_urls": _decode_urls(kept["media_urls"])})


def results_of(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    """Return the messages among ``uuids`` of which a result waits."""
    query = sa.select(inbound_results.c.message_uuid).where(inbound_results.c.message_uuid.in_(list(uuids)))
    return set(tx.execute(query).scalars())
