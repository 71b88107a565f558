"""Everything about one message: its facts, its events, its callbacks with every attempt, and what came back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.dialect.callback_urls import outside_safe_subset
from ringback.dialect.callbacks import total_amount
from ringback.dialect.inbound import CONTENT
from ringback.dialect.media import IMAGES
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import as_uuid
from ringback.model.message import INBOUND_REF, Event, Message
from ringback.model.redaction import redactor
from ringback.store import (
    audit,
    callbacks,
    conversions,
    conversions_out,
    endpoints,
    media,
    messages,
    received,
    replies,
    resends,
)
from ringback.store.callbacks import Attempt, Callback
from ringback.store.conversions import Conversion
from ringback.store.conversions_out import ConversionOut
from ringback.store.media import Media
from ringback.store.port import Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest
from ringback.store.replies import Reply
from ringback.web.dashboard import present
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form
from ringback.web.dashboard.viewer import actor_of, viewer_of

_RECEIVED_SHOWN: Final = 50
_SHOWS_CONTENT: Final = frozenset({"true", "content_only"})

OUTCOMES: Final = {
    "ok": "answered",
    "http_status": "refused",
    "timeout": "timed out",
    "dns": "name not found",
    "connect": "could not connect",
    "tls": "TLS failed",
    "broken": "connection broke",
    "blocked": "address not allowed",
    "parked": "not made",
}
"""Outcomes of attempts in words; others are shown as they are."""


class Step(msgspec.Struct, frozen=True):
    """An event, and the time since the one before it that counted."""

    event: Event
    detail: str
    after_us: int | None


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as the page shows it."""

    attempt: Attempt
    outcome: str
    late_us: int
    request_headers: Sequence[tuple[str, str]]
    response_headers: Sequence[tuple[str, str]]
    body: present.Body


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A callback as the page shows it."""

    callback: Callback
    status: str
    """The status that it tells."""
    state: str
    url: str
    endpoint_id: str
    origin: str
    """The endpoint as it may be shown."""
    params: Sequence[tuple[str, str]]
    doubts: Sequence[str]
    """Why SDKs would disagree on its signature."""
    tries: Sequence[Try]
    next_at_us: int | None
    """When the next attempt is planned; ``None`` for a finished callback and one that is held."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the receiving side stored about this message."""

    event: ReceivedEvent
    request: ReceivedRequest
    converted: ConversionOut | None = None
    """What was reported to the source's provider."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A medium as the page shows it."""

    name: str
    content_type: str
    size_bytes: int
    url: str
    is_image: bool


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for the page, all of one moment."""

    message: Message | None
    events: Sequence[Event]
    owed: Sequence[tuple[Callback, Sequence[Attempt]]]
    due: Mapping[str, int | None]
    arrivals: Sequence[Arrival]
    media: Sequence[Media] = ()
    replied: Sequence[Reply] = ()
    conversions: Sequence[Conversion] = ()


class Detail:
    """The page of one message."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """The page, or 404."""
        uuid = as_uuid(request.path_params["uuid"])
        found = await self._context.store.read(lambda tx: _read(tx, uuid)) if uuid else None
        viewer = viewer_of(request)
        if found is None or found.message is None or not viewer.sees(found.message.account_id):
            return self._pages.answer(
                request,
                "notice.html",
                status=404,
                section="messages",
                title="No such message",
                text="There is no message of this id in this database.",
            )
        message, sources = found.message, viewer.sources(self._context.sources)
        redact = redactor(message)
        return self._pages.answer(
            request,
            "message.html",
            section="messages",
            message=message,
            src=present.src_of(message),
            dst=present.dst_of(message),
            number_hidden=message.log in messages.HIDES_NUMBER,
            text=present.kept_text(message),
            amount=total_amount(message),
            callback_url=redact(present.safe_url(message.callback_url)) if message.callback_url else None,
            steps=steps(found.events, redact),
            owed=owed(found, redact),
            arrivals=[each for each in found.arrivals if sources is None or each.event.source in sources],
            media=self._carried(found),
            replied=[(each, [(part, redact(part.detail)) for part in each.parts]) for each in found.replied],
            conversions=found.conversions,
        )

    def _carried(self, found: Found) -> list[Carried] | None:
        """Return what the message carries; ``None`` when its sender asked for its content not to be shown."""
        message = found.message
        if message is None or message.log not in _SHOWS_CONTENT:
            return None
        now_us = self._context.clock.now_us()
        return [
            Carried(
                name=each.file_name or each.id,
                content_type=each.content_type,
                size_bytes=each.size_bytes,
                url=self._context.media_urls.path(each.account_id, message.uuid, each.id, now_us=now_us),
                is_image=each.content_type in IMAGES,
            )
            for each in found.media
        ]

    async def resend(self, request: Request) -> Response:
        """POST: send one of the message's callbacks once more, then go back to the page."""
        uuid = as_uuid(request.path_params["uuid"])
        callback_id = as_uuid((await read_form(request)).get("callback", ""))
        now_us = self._context.clock.now_us()
        viewer, actor = viewer_of(request), actor_of(request)

        def work(tx: Transaction) -> None:
            callback, _ = resends.find(tx, callback_id or "")
            if callback.message_uuid != uuid or not viewer.sees(callback.account_id):
                raise NotFound
            resends.resend(tx, [callback.id], new_id=self._context.new_id, now_us=now_us)
            audit.note(tx, actor, "callback resend", callback.id, now_us=now_us)

        try:
            await self._context.store.write(work)
        except (NotFound, InvalidRequest):
            return self._pages.answer(
                request,
                "notice.html",
                status=404,
                section="messages",
                title="Nothing was sent",
                text="The message has no such callback, or it is still being tried.",
            )
        self._context.wakeups.signal("callbacks")
        return RedirectResponse(f"/dashboard/messages/{uuid}", 303)


def steps(events: Sequence[Event], redact: Callable[[str], str]) -> list[Step]:
    """Put beside each event the time since the last one that changed the status."""
    out: list[Step] = []
    last_us: int | None = None
    for event in events:
        out.append(Step(event, redact(event.detail or ""), None if last_us is None else event.at_us - last_us))
        if not event.flag:
            last_us = event.at_us
    return out


def owed(found: Found, redact: Callable[[str], str]) -> list[Owed]:
    """Prepare the callbacks, ``redact`` hiding what may not be shown."""
    message = found.message
    told = {event.sequence: event.status for event in found.events if not event.flag}
    return [
        Owed(
            callback=callback,
            status=told.get(callback.sequence, ""),
            # "delivered" is the word for messages here.
            state="done" if callback.state == "delivered" else callback.state,
            url=redact(present.safe_url(callback.url)),
            endpoint_id=endpoints.key(callback.account_id, callback.endpoint),
            origin=redact(callback.endpoint),
            params=_shown_params(callback, message, redact),
            doubts=outside_safe_subset(
                callback.url, method=callback.method, params=present.param_pairs(callback.params)
            ),
            tries=[
                Try(
                    attempt=attempt,
                    outcome=OUTCOMES.get(attempt.outcome, present.words(attempt.outcome)),
                    late_us=attempt.started_at_us - attempt.planned_at_us,
                    request_headers=present.header_pairs(attempt.request_headers, redact),
                    response_headers=present.header_pairs(attempt.response_headers, redact),
                    body=present.body(_shown_body(attempt, callback, message), redact),
                )
                for attempt in attempts
            ],
            next_at_us=found.due.get(callback.id),
        )
        for callback, attempts in found.owed
    ]


def _hides_content(callback: Callback, message: Message | None) -> bool:
    return callback.kind == callbacks.MESSAGE and message is not None and present.hides_text(message)


def _shown_params(
    callback: Callback, message: Message | None, redact: Callable[[str], str]
) -> Sequence[tuple[str, str]]:
    pairs = present.param_pairs(callback.params, redact)
    if not _hides_content(callback, message):
        return pairs
    return [(name, present.NOT_SHOWN if name in CONTENT else value) for name, value in pairs]


def _shown_body(attempt: Attempt, callback: Callback, message: Message | None) -> bytes:
    # An answer to a message may be an answer to what it says.
    hidden = _hides_content(callback, message) and attempt.response_body
    return present.NOT_SHOWN.encode() if hidden else attempt.response_body


def _names(message: Message) -> list[str]:
    """Return what a message is called by us, and by a carrier that calls back."""
    return [message.uuid, *([message.carrier_ref.removeprefix(INBOUND_REF)] if message.carrier_ref else ())]


def _read(tx: Transaction, uuid: str) -> Found:
    message = messages.find(tx, None, uuid)
    if message is None:
        return Found(message=None, events=[], owed=[], due={}, arrivals=[])
    made = callbacks.of_message(tx, uuid)
    names = _names(message)
    said = received.of_messages(tx, names)[:_RECEIVED_SHOWN]
    reported = conversions_out.standing(tx, names)
    return Found(
        message=message,
        events=messages.timeline(tx, uuid),
        owed=made,
        replied=replies.of_message(tx, uuid) if message.direction == "inbound" else (),
        conversions=conversions.history(tx, uuid) if message.trackable else (),
        due=callbacks.due_times(tx, [callback.id for callback, _ in made]),
        arrivals=[
            Arrival(event=event, request=request, converted=reported.get((event.source, uuid)))
            for event in said
            if (request := received.request(tx, event.request_id)) is not None
        ],
        media=media.of_message(tx, uuid) if message.type == "mms" else (),
    )
