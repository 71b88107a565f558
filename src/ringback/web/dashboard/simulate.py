"""Sending an inbound message from the dashboard, through the simulated carrier of whichever process has it."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.store import audit, inbound
from ringback.store.port import Transaction
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form
from ringback.web.dashboard.viewer import actor_of

WAIT_S: Final = 5.0
"""The longest a request waits for what came of the message."""
NOBODY: Final = "Nobody has taken it up yet: is a Ringback with the role submit running? It will be brought then."


class Simulate:
    """The form, and what its button does."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """The form, empty or filled in as the address says."""
        return self._show(request, request.query_params)

    async def send(self, request: Request) -> Response:
        """POST: have the message brought, then go to its page, or say why there is none."""
        form = await read_form(request)
        now_us = self._context.clock.now_us()
        asked = inbound.Request(
            id=self._context.new_id(now_us),
            src=form.get("from", ""),
            dst=form.get("to", ""),
            type="sms",
            text=form.get("text", ""),
            media_urls=(),
            requested_at_us=now_us,
        )
        actor = actor_of(request)

        def work(tx: Transaction) -> None:
            inbound.request(tx, asked)
            audit.note(tx, actor, "message simulate", asked.id, now_us=now_us)

        await self._context.store.write(work)
        # Listening from before the signal, so that the answer is not missed.
        listener = self._context.wakeups.listen("events")
        try:
            self._context.wakeups.signal("inbound_requests")
            found = await self._context.store.read(lambda tx: inbound.find_request(tx, asked.id))
            until_us = now_us + round(WAIT_S * 1_000_000)
            while found and not found.is_answered and self._context.clock.now_us() < until_us:
                await listener.wait(1.0)
                found = await self._context.store.read(lambda tx: inbound.find_request(tx, asked.id))
        finally:
            listener.close()
        if found and found.message_uuid:
            return RedirectResponse(f"/dashboard/messages/{found.message_uuid}", 303)
        refusal = found.refusal if found else None
        return self._show(request, form, complaint=f"It was refused: {refusal}." if refusal else NOBODY, status=409)

    def _show(self, request: Request, given: Mapping[str, str], *, complaint: str = "", status: int = 200) -> Response:
        return self._pages.answer(
            request,
            "simulate.html",
            status=status,
            section="messages",
            given={name: given.get(name, "") for name in ("from", "to", "text")},
            complaint=complaint,
        )
