"""An account of an upstream platform as a connector: messages by its REST API, receipts by its callbacks.

Callbacks come to whichever process has the role ``web``, which stores what they say before it answers; they do not pass
here. What this connector offers to the sink are answers to questions: after a restart it asks about messages whose last
callback may have been lost while nobody could take it.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Final, Literal

import aiohttp
import structlog

from ringback.carriers.lately import Lately
from ringback.carriers.plivo.catch_up import CatchUp, Open
from ringback.carriers.plivo.client import Client, Method, NotSent, Outcome, Reply
from ringback.carriers.plivo.judge import judge_sent, judge_uploaded, trouble
from ringback.carriers.port import (
    Awaiting,
    Deferred,
    Exchange,
    InboundSink,
    Outbound,
    OutboundMedia,
    Receipt,
    ReceiptSink,
    Rejected,
    Snapshot,
    SubmitOutcome,
)
from ringback.dialect import upstream
from ringback.model.errors import TryLater
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.upstream")

LAST: Final = 20
PROBE_PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Between questions whether an account that could not be used can be used again."""
BUSY_PAUSE_S: Final = 1.0
CATCH_UP_PAUSE_S: Final = 30.0
"""After a question about a message that was not answered."""
UPLOADS_KEPT: Final = 1_000
UPLOADED_FOR_US: Final = 3_600_000_000
"""For so long an upload is used again: upstream, one that no message has ends after six hours."""

State = Literal["up", "connecting", "down", "stopped"]


class UpstreamAccount:
    """See ``carriers.port.Connector``."""

    carries = frozenset({"sms", "mms"})

    def __init__(
        self,
        *,
        client: Client,
        callback_url: str,
        log_mode: str,
        concurrency: int,
        deadline_s: float,
        poll_per_s: float,
        clock: Clock,
        name: str,
    ) -> None:
        """``callback_url`` is where the account's callbacks reach us; ``poll_per_s`` 0 asks about no message."""
        self.name = name
        self._client = client
        self._callback_url = callback_url
        self._log_mode = log_mode
        self._most = concurrency
        self._deadline_s = deadline_s
        self._poll_per_s = poll_per_s
        self._clock = clock
        self._places = asyncio.Semaphore(concurrency)
        self._in_hand = 0
        self._receipts: ReceiptSink = _nobody
        self._open = CatchUp()
        self._uploads: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._stopping = asyncio.Event()
        self._look = asyncio.Event()
        self._state: State = "connecting"
        self._detail = "not asked yet"
        self._since_us = clock.now_us()
        self._errors: Counter[str] = Counter()
        self._handed_over = Lately()
        self._exchanges: deque[Exchange] = deque(maxlen=LAST)

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """Name the taker of receipts that were asked for."""
        self._receipts = sink

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """Do nothing: messages come as callbacks, to another process perhaps."""

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Ask what became of these."""
        if self._poll_per_s:
            self._open.add(awaiting, self._clock.now_us())

    def snapshot(self) -> Snapshot:
        """Say how the account is."""
        left = f"; {len(self._open)} messages to ask about" if len(self._open) else ""
        return Snapshot(
            state=self._state,
            since_us=self._since_us,
            detail=self._detail + left,
            window_used=self._in_hand,
            window_allowed=self._most,
            rate_per_s=self._handed_over.per_s(self._clock.now_us()),
            errors=dict(self._errors),
            exchanges=tuple(self._exchanges),
        )

    def rebind(self) -> None:
        """Ask at once whether the account can be used; requests in hand go on."""
        self._become("connecting", "asked to look again")
        self._look.set()

    def stop(self) -> None:
        """Take no new messages."""
        self._stopping.set()
        self._look.set()

    async def run(self) -> None:
        """Ask whether the account can be used, until it can, and about messages; until stopped."""
        probing = asyncio.create_task(self._keep_looking())
        catching_up = asyncio.create_task(self._catch_up())
        try:
            # The first that ends tells of a failure, or that it is over.
            await asyncio.gather(probing, catching_up)
            async with asyncio.timeout(2 * self._deadline_s):
                while self._in_hand:
                    self._look.clear()
                    await self._look.wait()
        except TimeoutError:
            log.warning("upstream_not_finished", carrier=self.name, in_hand=self._in_hand)
        finally:
            for task in (probing, catching_up):
                task.cancel()
            await asyncio.gather(probing, catching_up, return_exceptions=True)
            await self._client.close()
            self._become("stopped", "stopped")

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Hand over one message, after its media."""
        if self._stopping.is_set():
            return Deferred(retry_after_s=BUSY_PAUSE_S, detail="the connector is stopped", reason="down")
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._places.acquire()
        except TimeoutError:
            return Deferred(retry_after_s=BUSY_PAUSE_S, detail=f"{self._most} requests are in hand already")
        self._in_hand += 1
        try:
            return await self._hand_over(message)
        finally:
            self._in_hand -= 1
            self._places.release()
            if self._stopping.is_set():
                self._look.set()

    # ---- out ----

    async def _hand_over(self, message: Outbound) -> SubmitOutcome:
        media: tuple[str, ...] | Rejected | Deferred | None = None
        reused = [each.id for each in message.media if self._is_uploaded(each.id, self._clock.now_us())]
        if message.type == "mms":
            media = await self._uploaded(message.media)
        if isinstance(media, Rejected | Deferred):
            return media
        expiry_s = None
        if message.expires_at_us is not None:
            expiry_s = (message.expires_at_us - self._clock.now_us()) // 1_000_000
        fields = upstream.send_fields(
            src=message.src,
            dst=message.dst,
            text=message.text,
            url=self._callback_url,
            log=self._log_mode,
            expiry_s=expiry_s,
            media_ids=media,
        )
        answer = await self._ask("POST", upstream.MESSAGES, json=fields)
        if isinstance(answer, Reply) and answer.status < 300:
            self._handed_over.add(self._clock.now_us())
        outcome = judge_sent(answer, src=message.src)
        if reused and isinstance(outcome, Rejected) and outcome.error_code == upstream.INVALID:
            # They may not be there any more; uploaded anew, they are not to blame.
            for media_id in reused:
                self._uploads.pop(media_id, None)
            return Deferred(retry_after_s=BUSY_PAUSE_S, detail=outcome.detail)
        return outcome

    async def _uploaded(self, media: Sequence[OutboundMedia]) -> tuple[str, ...] | Rejected | Deferred:
        """Return what upstream calls these, in this order; those that it does not have yet are uploaded first."""
        now_us = self._clock.now_us()
        known = {each.id: self._uploads[each.id][0] for each in media if self._is_uploaded(each.id, now_us)}
        missing = [each for each in media if each.id not in known]
        if missing:
            form = aiohttp.FormData()
            try:
                for each in missing:
                    content = await asyncio.to_thread(each.path.read_bytes)
                    name = each.file_name or each.id
                    form.add_field("file", content, filename=name, content_type=each.content_type)
            except OSError:
                return Rejected(error_code=upstream.INVALID, detail="a file of the message cannot be read")
            ids = judge_uploaded(await self._ask("POST", upstream.MEDIA, form=form), expected=len(missing))
            if isinstance(ids, Rejected | Deferred):
                return ids
            for each, theirs in zip(missing, ids, strict=True):
                known[each.id] = theirs
                self._uploads[each.id] = (theirs, now_us + UPLOADED_FOR_US)
            while len(self._uploads) > UPLOADS_KEPT:
                self._uploads.popitem(last=False)
        return tuple(known[each.id] for each in media)

    def _is_uploaded(self, media_id: str, now_us: int) -> bool:
        return media_id in self._uploads and self._uploads[media_id][1] > now_us

    async def _ask(
        self, method: Method, path: str, *, json: object = None, form: aiohttp.FormData | None = None
    ) -> Outcome:
        """Make a request, and take note of how that went."""
        answer = await self._client.ask(method, path, json=json, form=form)
        said = f"answered {answer.status}" if isinstance(answer, Reply) else answer.detail
        what = path.partition("/")[0] or "Account"
        self._exchanges.append(Exchange(at_us=self._clock.now_us(), direction="out", what=f"{method} {what}: {said}"))
        if not isinstance(answer, Reply):
            self._errors["no connection" if isinstance(answer, NotSent) else "no answer"] += 1
        elif answer.status >= 300:
            self._errors[str(answer.status)] += 1
        why = trouble(answer, may_be_missing=method == "GET" and path != "")
        # A single answer that did not come says little of the account.
        if isinstance(answer, Reply | NotSent):
            self._become("down" if why else "up", why)
        return answer

    # ---- the account ----

    async def _keep_looking(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            self._look.clear()
            if self._state != "up":
                await self._ask("GET", "")
                tries += 1
            if self._state == "up":
                tries = 0
            # The first pause is also how long it takes to notice that a message has met a closed door.
            await _first(self._look, within_s=PROBE_PAUSES_S[min(tries, len(PROBE_PAUSES_S) - 1)])

    def _become(self, state: State, detail: str) -> None:
        if state != self._state:
            self._since_us = self._clock.now_us()
            if state == "up":
                log.info("upstream_up", carrier=self.name)
            elif state == "down":
                log.warning("upstream_down", carrier=self.name, reason=detail)
        self._state, self._detail = state, detail

    # ---- what became of messages ----

    async def _catch_up(self) -> None:
        while not self._stopping.is_set():
            message = self._open.take(self._clock.now_us())
            if message is None:
                due_in_s = self._open.due_in_s(self._clock.now_us())
                await _first(self._stopping, within_s=min(due_in_s or 1.0, 1.0))
                continue
            await self._ask_about(message)
            await _first(self._stopping, within_s=1 / self._poll_per_s)

    async def _ask_about(self, message: Open) -> None:
        async with self._places:
            answer = await self._ask("GET", upstream.message_path(message.carrier_ref))
        now_us = self._clock.now_us()
        if isinstance(answer, Reply) and answer.status == 404:
            return
        if not isinstance(answer, Reply) or answer.status != 200:
            wanted_s = answer.retry_after_s if isinstance(answer, Reply) else 0.0
            self._open.not_answered(message, now_us, pause_s=wanted_s or CATCH_UP_PAUSE_S)
            return
        state, code = upstream.record_state(answer.content)
        report = upstream.report(state, code)
        if report is None or not report.has_ended:
            self._open.still_open(message, now_us)
            return
        try:
            await self._receipts(
                Receipt(
                    connector=self.name,
                    carrier_ref=message.carrier_ref,
                    status=report.status,
                    error_code=report.error_code,
                    detail=f"asked: {state[:32]}",
                )
            )
        except TryLater:
            self._open.not_answered(message, now_us, pause_s=CATCH_UP_PAUSE_S)


async def _first(event: asyncio.Event, *, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()


async def _nobody(_: Receipt) -> None:
    raise TryLater("nobody takes receipts yet")
