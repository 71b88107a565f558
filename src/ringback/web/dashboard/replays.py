"""Replays: a dry run of what is asked for, beginning one, the list of them, and cancelling."""

import math
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ringback.delivery import replay as replaying
from ringback.delivery.replay import DEFAULT_RATE_PER_S, LEAST_RATE_PER_S, MOST_RATE_PER_S
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import as_uuid
from ringback.store import audit, replays
from ringback.store.port import Transaction
from ringback.store.replays import CANCELLED, FINISHED, RUNNING, Replay
from ringback.store.resends import Filter
from ringback.web.dashboard import callbacks
from ringback.web.dashboard.chosen import Chosen, in_words, narrowed, read_chosen, understand, written
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.listing import PAGE_ROWS
from ringback.web.dashboard.live import mark_of
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form
from ringback.web.dashboard.viewer import actor_of, viewer_of

LIST: Final = "/dashboard/replays"
STILL_TRIED: Final = "Pending callbacks are still being tried: only those that have ended can be sent once more."
BAD_RATE: Final = f"The rate is a number of callbacks a second, from {LEAST_RATE_PER_S:g} to {MOST_RATE_PER_S:,g}."

_STARTED: Final = {
    RUNNING: "has begun.",
    FINISHED: "has sent everything that it was to send.",
    CANCELLED: "was begun, and somebody has cancelled it since.",
}
_CANCELLED: Final = {
    RUNNING: "was not cancelled.",
    FINISHED: "had finished before it could be cancelled.",
    CANCELLED: "is cancelled; what it has sent stays sent.",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as the list shows it."""

    replay: Replay
    takes: str
    """Its filter in words."""
    left_us: float | None
    """How long it will yet take; ``None`` when it has ended or nobody knows."""
    is_unattended: bool


def row(replay: Replay, now_us: int) -> Row:
    """Return a replay's row."""
    is_known = replay.state == RUNNING and replay.counted_all
    left_us = max(replay.total - replay.done, 0) / replay.rate_per_s * 1_000_000
    return Row(
        replay=replay,
        takes=in_words(replay.wanted),
        left_us=left_us if is_known else None,
        is_unattended=replaying.is_unattended(replay, now_us),
    )


class Replays:
    """The list, its part that is renewed while it is open, the dry run, and what the buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """Newest first; ``before`` in the address continues where another page ended."""
        return self._pages.answer(request, "replays.html", **await self._facts(request))

    async def part(self, request: Request) -> Response:
        """Only what changes: the list."""
        return HTMLResponse(self._pages.text("_replays.html", **await self._facts(request)))

    async def dry_run(self, request: Request) -> Response:
        """What a replay would send if it began now."""
        return await self._planned(request, narrowed(read_chosen(request.query_params), viewer_of(request)))

    async def start(self, request: Request) -> Response:
        """POST: begin a replay of the operator's, then go to the list."""
        form = await read_form(request)
        viewer, actor = viewer_of(request), actor_of(request)
        chosen = narrowed(read_chosen(form), viewer)
        wanted, problems = _understand(chosen)
        rate_per_s = _rate(form.get("rate", ""))
        if rate_per_s is None:
            problems.append(BAD_RATE)
        if problems or rate_per_s is None:
            return await self._planned(request, chosen, rate=form.get("rate", ""), problems=problems)
        now_us = self._context.clock.now_us()

        def note(tx: Transaction, replay: Replay) -> None:
            audit.note(tx, actor, "replay start", f"{replay.id} {in_words(replay.wanted)}", now_us=now_us)

        try:
            begun = await replaying.start(
                self._context.store,
                wanted,
                rate_per_s=rate_per_s,
                account_id=viewer.account_id,
                new_id=self._context.new_id,
                now_us=now_us,
                also=note,
            )
        except InvalidRequest as error:
            return await self._planned(request, chosen, rate=form.get("rate", ""), problems=[f"{error}."])
        self._context.wakeups.signal("replays")
        return RedirectResponse(f"{LIST}?{urlencode({'did': 'start', 'replay': begun.id})}", 303)

    async def cancel(self, request: Request) -> Response:
        """POST: end a replay where it is, then go to the list."""
        replay_id = as_uuid(request.path_params["id"]) or ""
        now_us = self._context.clock.now_us()
        viewer, actor = viewer_of(request), actor_of(request)

        def work(tx: Transaction) -> None:
            replaying.cancel(tx, replay_id, now_us=now_us, account_id=viewer.account_id)
            audit.note(tx, actor, "replay cancel", replay_id, now_us=now_us)

        try:
            await self._context.store.write(work)
        except NotFound:
            return self._pages.answer(
                request,
                "notice.html",
                status=404,
                section="replays",
                title="No such replay",
                text="There is no replay of this id in this database.",
            )
        except InvalidRequest:
            # It has finished meanwhile: the list says so.
            pass
        self._context.wakeups.signal("replays")
        return RedirectResponse(f"{LIST}?{urlencode({'did': 'cancel', 'replay': replay_id})}", 303)

    async def _planned(
        self,
        request: Request,
        chosen: Chosen,
        *,
        rate: str = f"{DEFAULT_RATE_PER_S:g}",
        problems: list[str] | None = None,
    ) -> Response:
        wanted, misunderstood = _understand(chosen)
        problems = problems or misunderstood
        now_us = self._context.clock.now_us()

        def read(tx: Transaction) -> tuple[replaying.Preview, list[callbacks.Row]] | None:
            if misunderstood:
                return None
            seen = replaying.dry_run(tx, wanted, now_us=now_us)
            return seen, callbacks.rows(tx, [callback.id for callback in seen.first])[::-1]

        found = await self._context.store.read(read)
        seen, first = found or (None, [])
        until = written(seen.wanted.until_us) if seen and seen.wanted.until_us is not None else ""
        return self._pages.answer(
            request,
            "replay.html",
            status=400 if problems else 200,
            section="replays",
            problems=problems,
            chosen=chosen,
            seen=seen,
            takes=in_words(seen.wanted) if seen else "",
            rows=first,
            # What is begun takes what the dry run has shown, and nothing that became owed since.
            fields=msgspec.structs.replace(chosen, until=until).pairs(),
            other_again=msgspec.structs.replace(chosen, again="" if chosen.again else "1").query(),
            back=msgspec.structs.replace(chosen, again="").query(),
            rate=rate,
            least_rate=LEAST_RATE_PER_S,
            most_rate=MOST_RATE_PER_S,
            takes_us=seen.total / DEFAULT_RATE_PER_S * 1_000_000 if seen else 0,
            now_us=now_us,
        )

    async def _facts(self, request: Request) -> dict[str, Any]:
        now_us = self._context.clock.now_us()
        before = as_uuid(request.query_params.get("before", ""))
        changed_id = as_uuid(request.query_params.get("replay", ""))
        account_id = viewer_of(request).account_id

        def read(tx: Transaction) -> tuple[list[Replay], Replay | None]:
            found = replays.page(tx, account_id=account_id, limit=PAGE_ROWS + 1, before=before)
            return found, _known(tx, changed_id, account_id) if changed_id else None

        found, changed = await self._context.store.read(read)
        texts = {"start": _STARTED, "cancel": _CANCELLED}.get(request.query_params.get("did", ""), {})
        shown = found[:PAGE_ROWS]
        return {
            "section": "replays",
            "rows": [row(replay, now_us) for replay in shown],
            "before": before or "",
            "older": shown[-1].id if len(found) > PAGE_ROWS else "",
            "mark": mark_of(shown),
            "changed": changed,
            "confirmation": texts.get(changed.state, "") if changed else "",
            "now_us": now_us,
        }


def _understand(chosen: Chosen) -> tuple[Filter, list[str]]:
    wanted, problems = understand(chosen)
    if wanted.state == "pending":
        problems.append(STILL_TRIED)
    return msgspec.structs.replace(wanted, not_resent=not chosen.again), problems


def _rate(text: str) -> float | None:
    try:
        rate_per_s = float(text)
    except ValueError:
        return None
    is_possible = math.isfinite(rate_per_s) and LEAST_RATE_PER_S <= rate_per_s <= MOST_RATE_PER_S
    return rate_per_s if is_possible else None


def _known(tx: Transaction, replay_id: str, account_id: str | None) -> Replay | None:
    try:
        return replays.find(tx, replay_id, account_id=account_id)
    except NotFound:
        return None
