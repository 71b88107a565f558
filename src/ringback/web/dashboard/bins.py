"""Bins on the dashboard: all of them, what one holds and answers, one capture, two compared, and sending one on."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.inspector import bodies, compare, exports, script
from ringback.inspector.forward import Forwarded, Outgoing, forward, read_headers
from ringback.inspector.groups import Pause, pauses
from ringback.inspector.keep import HOUR_S, MEGABYTE, BinKeeper
from ringback.inspector.schema import infer
from ringback.model.errors import InvalidRequest, NotFound
from ringback.store import audit, bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Capture, Head
from ringback.store.port import Transaction
from ringback.web.api.bins import FORMATS, NUMBER_DIGITS, raw_body, write
from ringback.web.body import read_body
from ringback.web.dashboard import present
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.incoming import REASONS
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import actor_of
from ringback.web.signed import FITS, MOST_TOKENS, Keys, explained, verdict

PAGE_ROWS: Final = 50
MOST_BINS: Final = 1_000
MOST_ATTEMPTS: Final = 50
MOST_EXPORTED: Final = 1_000
MAX_TEXT: Final = 200
FORM_BYTES: Final = 4_000_000
SCHEMA_CAPTURES: Final = 500
SCHEMA_BYTES: Final = 5_000_000
LIST: Final = "/dashboard/bins"

_METHOD_TOKEN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")


class Shown(msgspec.Struct, frozen=True):
    """What a bin's page shows."""

    bin: Bin
    heads: Sequence[Head]
    text: str
    older: int | None


class Bins:
    """The pages, and what their buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages
        self._keeper = BinKeeper(
            store=context.store,
            clock=context.clock,
            new_id=context.new_id,
            new_salt=lambda: context.new_secret().encode()[:16],
            wakeups=context.wakeups,
            settings=context.bins,
        )

    # ---- all of them ----

    async def page(self, request: Request) -> Response:
        """All bins, and the form that makes one."""
        return await self._list(request, {})

    async def create(self, request: Request) -> Response:
        """POST: make a bin and go there, or say why there is none."""
        form = await _read_form(request)
        try:
            fields = {"script": form.get("script", "")} | (
                {"password": form["password"]} if form.get("password") else {}
            )
            made = await self._keeper.create(form.get("name", "").strip(), fields)
        except InvalidRequest as error:
            return await self._list(request, form, complaint=str(error), status=400)
        await self._note(request, "bin create", made.name)
        return RedirectResponse(f"{LIST}/{made.name}", 303)

    async def _list(
        self, request: Request, given: Mapping[str, str], *, complaint: str = "", status: int = 200
    ) -> Response:
        found = await self._context.store.read(partial(bins.page, limit=MOST_BINS))
        return self._pages.answer(
            request,
            "bins.html",
            status=status,
            section="bins",
            found=[(item, script.in_words(script.decode(item.script))) for item in found],
            given={name: given.get(name, "") for name in ("name", "script")},
            complaint=complaint,
            base_url=_base_url(request),
        )

    # ---- one ----

    async def one(self, request: Request) -> Response:
        """One bin: what it holds, newest first."""
        return await self._show(request)

    async def part(self, request: Request) -> Response:
        """What changes on that page as requests come."""
        shown = await self._shown(request)
        if shown is None:
            return self._nowhere(request)
        return Response(self._pages.text("_captures.html", **self._facts(shown)), media_type="text/html")

    async def act(self, request: Request) -> Response:
        """POST: set what a bin answers and keeps, empty it, or remove it."""
        form = await _read_form(request)
        name = request.path_params["bin"]
        try:
            if form.get("action") == "delete":
                await self._keeper.delete(name)
                await self._note(request, "bin delete", name)
                return RedirectResponse(LIST, 303)
            if form.get("action") == "clear":
                await self._keeper.clear(name)
            elif form.get("action") == "no password":
                await self._keeper.change(name, {"password": None})
            else:
                fields = ("script", "captures", "megabytes", "retention_hours")
                given = {field: form[field] for field in fields if field in form}
                if form.get("password"):
                    # An empty field leaves it as it is: nobody is shown what it is.
                    given["password"] = form["password"]
                await self._keeper.change(name, given)
        except InvalidRequest as error:
            return await self._show(request, given=form.get("script"), complaint=str(error), status=400)
        except NotFound:
            return self._nowhere(request)
        await self._note(request, "bin clear" if form.get("action") == "clear" else "bin change", name)
        return RedirectResponse(f"{LIST}/{quote(name)}", 303)

    async def _note(self, request: Request, action: str, target: str) -> None:
        """Tell the audit log of what was done: bins are changed in transactions of their keeper's."""
        actor, now_us = actor_of(request), self._context.clock.now_us()
        await self._context.store.write(lambda tx: audit.note(tx, actor, action, target, now_us=now_us))

    async def _show(
        self, request: Request, *, given: str | None = None, complaint: str = "", status: int = 200
    ) -> Response:
        shown = await self._shown(request)
        if shown is None:
            return self._nowhere(request)
        query = urlencode({"q": shown.text} if shown.text else {})
        return self._pages.answer(
            request,
            "bin.html",
            status=status,
            given=_line(shown.bin) if given is None else given,
            complaint=complaint,
            base_url=_base_url(request),
            hours=shown.bin.retention_s // HOUR_S,
            megabytes=shown.bin.max_bytes // MEGABYTE,
            formats=tuple(FORMATS),
            is_newest="before" not in request.query_params,
            part=f"{LIST}/{shown.bin.name}/part" + (f"?{query}" if query else ""),
            **self._facts(shown),
        )

    async def _shown(self, request: Request) -> Shown | None:
        name, given = request.path_params["bin"], request.query_params
        text = given.get("q", "").replace("\x00", "")[:MAX_TEXT]
        before = _number(given["before"]) if given.get("before") else None

        def look(tx: Transaction) -> Shown | None:
            found = bins.find(tx, _storable(name))
            if found is None:
                return None
            heads = captures.newest(tx, found.id, before=before, text=text, limit=PAGE_ROWS)
            return Shown(found, heads, text, heads[-1].number if len(heads) == PAGE_ROWS else None)

        return await self._context.store.read(look)

    def _facts(self, shown: Shown) -> dict[str, Any]:
        return {
            "section": "bins",
            "bin": shown.bin,
            "rows": capture_rows(shown.bin.name, shown.heads),
            "text": shown.text,
            "older": shown.older,
            "in_words": script.in_words(script.decode(shown.bin.script)),
        }

    async def schema(self, request: Request) -> Response:
        """What the newest captures have in common, for people or as JSON Schema."""
        name = _storable(request.path_params["bin"])

        def look(tx: Transaction) -> tuple[Bin | None, list[Capture]]:
            found = bins.find(tx, name)
            items = captures.newest_whole(tx, found.id, limit=SCHEMA_CAPTURES, max_bytes=SCHEMA_BYTES) if found else []
            return found, items

        found, items = await self._context.store.read(look)
        if found is None:
            return self._nowhere(request)
        parts = await asyncio.to_thread(infer, items)
        if request.query_params.get("format") == "json":
            content = json.dumps({part.part: part.schema for part in parts}, indent=2, ensure_ascii=False)
            return Response(content, media_type="application/schema+json")
        return self._pages.answer(
            request, "schema.html", section="bins", bin=found, parts=parts, looked_at=len(items), most=SCHEMA_CAPTURES
        )

    async def export(self, request: Request) -> Response:
        """What a bin holds, or one capture of it, for another tool."""
        kind = request.query_params.get("format", "")
        number = request.query_params.get("number")
        name = _storable(request.path_params["bin"])

        def look(tx: Transaction) -> list[Capture] | None:
            found = bins.find(tx, name)
            if found is None:
                return None
            if number is not None:
                item = captures.one(tx, found.id, _number(number))
                return [item] if item else []
            return captures.whole_after(tx, found.id, 0, limit=MOST_EXPORTED)

        items = await self._context.store.read(look)
        if items is None or kind not in FORMATS:
            return self._nowhere(request)
        suffix = {"curl": "sh", "pytest": "py"}.get(kind, kind)
        return Response(
            write(items, kind, name, _base_url(request)),
            media_type=FORMATS[kind],
            headers={
                "Content-Disposition": f'attachment; filename="{"test_" if kind == "pytest" else ""}bin.{suffix}"'
            },
        )

    # ---- one capture ----

    async def capture(self, request: Request) -> Response:
        """One capture: as it came, what it was answered, and its attempts against the ladder."""
        return await self._capture(request)

    async def send(self, request: Request) -> Response:
        """POST: send a capture on, as it came or as the form has it, and show what came back."""
        form = await _read_form(request)
        _, item = await self._find(request)
        if item is None:
            return self._nowhere(request)
        try:
            wanted = _outgoing(form, item)
        except InvalidRequest as error:
            return await self._capture(request, form=form, complaint=str(error), status=400)
        sent = await forward(wanted, self._context.delivery)
        await self._note(request, "capture send", f"{request.path_params['bin']} {item.number}")
        return await self._capture(request, form=form, sent=sent)

    async def body(self, request: Request) -> Response:
        """The body as it came, to be saved."""
        _, item = await self._find(request)
        return self._nowhere(request) if item is None else raw_body(item)

    async def image(self, request: Request) -> Response:
        """The body as an image, if its bytes are those of one."""
        _, item = await self._find(request)
        kind = bodies.image_type(item.body) if item else None
        if item is None or kind is None:
            return self._nowhere(request)
        return Response(item.body, media_type=kind)

    async def _capture(
        self,
        request: Request,
        *,
        form: Mapping[str, str] | None = None,
        sent: Forwarded | None = None,
        complaint: str = "",
        status: int = 200,
    ) -> Response:
        found, item = await self._find(request)
        if found is None or item is None:
            return self._nowhere(request)
        attempts = await self._context.store.read(
            partial(captures.group, bin_id=found.id, key=item.group_key, limit=MOST_ATTEMPTS)
        )
        content_type = exports.header(item, "content-type")
        views = bodies.views(item.body, content_type)
        chosen = request.query_params.get("view", "")
        view = chosen if chosen in views else next(iter(views), "")
        return self._pages.answer(
            request,
            "capture.html",
            status=status,
            section="bins",
            bin=found,
            item=item,
            target=exports.target_of(item),
            headers=exports.headers_of(item),
            views=views,
            view=view,
            fields=bodies.as_form(item.body, content_type) or [] if view == "form" else [],
            pretty=bodies.pretty(item.body) if view == "json" else "",
            hex_rows=bodies.hex_rows(item.body) if view == "hex" else [],
            hex_shown=bodies.HEX_SHOWN,
            body_shown=present.body(item.body),
            params=present.form_pairs(f"/?{item.query}", [], b""),
            attempts=_with_pauses(attempts, self._context.delivery.retry_delays_s),
            before=next((head for head in reversed(attempts) if head.number < item.number), None),
            curl=exports.curl(item, _base_url(request)),
            form=_form(form, item, _base_url(request)),
            editable=_is_editable(item),
            sent=sent,
            sent_body=present.body(sent.body) if sent else None,
            complaint=complaint,
            **await self._signature(request, item),
        )

    async def _signature(self, request: Request, item: Capture) -> dict[str, Any]:
        """Say whether a capture is signed, and why it is or is not as it should be if somebody asks."""
        tokens = await self._context.explainer.known_tokens(MOST_TOKENS)
        keys = Keys(tokens, self._context.explainer.public_urls)
        told = None
        if "signature" in request.query_params:
            told = await asyncio.to_thread(explained, item, keys)
        judged = await asyncio.to_thread(verdict, item, keys)
        return {
            "verdict": judged,
            "has_tokens": bool(tokens),
            "told": told,
            "fitting": FITS,
            "reasons": REASONS,
        }

    # ---- two ----

    async def compare(self, request: Request) -> Response:
        """Two captures side by side."""
        given = request.query_params
        numbers = [_number(given.get(name, "")) for name in ("left", "right")]
        name = _storable(request.path_params["bin"])

        def look(tx: Transaction) -> tuple[Bin | None, list[Capture | None]]:
            found = bins.find(tx, name)
            return found, [captures.one(tx, found.id, number) for number in numbers] if found else []

        found, items = await self._context.store.read(look)
        pair = [item for item in items if item is not None]
        if found is None or len(pair) < 2:
            return self._nowhere(request)
        left, right = pair
        return self._pages.answer(
            request,
            "compare.html",
            section="bins",
            bin=found,
            left=left,
            right=right,
            rows=compare.rows(left, right),
            lines=compare.body_lines(left, right),
            is_same_body=left.body == right.body,
        )

    async def _find(self, request: Request) -> tuple[Bin | None, Capture | None]:
        name, number = _storable(request.path_params["bin"]), _number(request.path_params["number"])

        def look(tx: Transaction) -> tuple[Bin | None, Capture | None]:
            found = bins.find(tx, name)
            return found, captures.one(tx, found.id, number) if found else None

        return await self._context.store.read(look)

    def _nowhere(self, request: Request) -> Response:
        return self._pages.answer(
            request,
            "notice.html",
            status=404,
            section="bins",
            title="Nothing here",
            text="There is no such bin or capture, or it is not kept any more.",
        )


def capture_rows(name: str, heads: Sequence[Head]) -> list[tuple[Head, str, str]]:
    """Return captures of a bin as lists show them: each with its target after the bin's name, and its media type."""
    prefix = f"/bin/{name}"
    return [(head, exports.target_of(head)[len(prefix) :], exports.header(head, "content-type")) for head in heads]


def _with_pauses(attempts: Sequence[Head], plan_s: Sequence[float]) -> list[tuple[Head, Pause | None]]:
    # Where the first ones are evicted, the ladder has nothing to begin from.
    between: list[Pause | None] = [None]
    if attempts and attempts[0].attempt == 1:
        between += pauses(attempts, plan_s)
    return [(head, between[at] if at < len(between) else None) for at, head in enumerate(attempts)]


def _line(found: Bin) -> str:
    return found.script or ""


def _is_editable(item: Capture) -> bool:
    text = exports.as_text(item.body) if len(item.body) <= bodies.SHOWN else None
    # What a form would change, or not show, is not to be edited in one.
    return text is not None and present.visible(text) == text


def _form(given: Mapping[str, str] | None, item: Capture, base_url: str) -> dict[str, str]:
    if given is not None:
        return {name: given.get(name, "") for name in ("method", "url", "headers", "body", "which")}
    own = "\n".join(f"{name}: {value}" for name, value in exports.headers_of(item) if name.lower() not in exports.HOP)
    return {
        "method": item.method,
        "url": base_url + exports.target_of(item),
        "headers": own,
        "body": item.body.decode() if _is_editable(item) else "",
        "which": "captured",
    }


def _outgoing(form: Mapping[str, str], item: Capture) -> Outgoing:
    method, url = form.get("method", "").strip().upper(), form.get("url", "").strip()
    if not method or not set(method) <= _METHOD_TOKEN or len(method) > 32:
        raise InvalidRequest("method must be a word such as POST")
    if not url.lower().startswith(("http://", "https://")) or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest("url must begin with http:// or https:// and be written in ASCII, spaces as %20")
    edited = form.get("which") == "edited"
    return Outgoing(
        method=method,
        url=url,
        headers=read_headers(form.get("headers", "")),
        # Browsers write lines of a form with CR LF.
        body=form.get("body", "").replace("\r\n", "\n").encode("utf-8", "replace") if edited else item.body,
    )


async def _read_form(request: Request) -> dict[str, str]:
    content = await read_body(request, FORM_BYTES)
    pairs = parse_qs(content.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    return {name: values[-1] for name, values in pairs.items()}


def _base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS else 0


def _storable(text: str) -> str:
    return text.lower().replace("\x00", "").encode("utf-8", "replace").decode()
