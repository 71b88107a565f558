"""The page on which people ask their own questions, in SQL: editor, tables, result, files, saved questions.

What is short stands in the address, so that it can be shared and reloaded; what is not is answered to the form itself.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from ringback.analytics.asked import placed
from ringback.analytics.engine import Answer, Limits
from ringback.analytics.exports import EXPORT_TYPES
from ringback.analytics.schema import EXAMPLES, TABLES
from ringback.model.errors import AnalyticsAway, InvalidRequest, QuestionRefused, QuestionTooLong, TooLarge
from ringback.store import audit, saved_queries
from ringback.store.port import Transaction
from ringback.store.saved_queries import SavedQuery
from ringback.web.body import read_body
from ringback.web.dashboard.analytics_address import ROOT
from ringback.web.dashboard.analytics_frame import AWAY, Frame
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import actor_of, viewer_of

PATH: Final = f"{ROOT}/sql"
SHORT: Final = 1_500
"""Characters of a question that still goes into the address."""
SHOWN_ROWS: Final = 1_000
"""Rows that the page shows; a file has all."""
_FORM_BYTES: Final = 200_000


class Asked(msgspec.Struct, kw_only=True):
    """What the page shows of a question."""

    sql: str = ""
    name: str = ""
    """Under which it is saved."""
    answer: Answer | None = None
    words: str = ""
    """Why there is no answer."""
    place: str = ""
    """Line and mark of where it went wrong."""
    status: int = 200


class AskPage:
    """Questions in SQL."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._frame = Frame(context, pages)

    async def page(self, request: Request) -> Response:
        """GET: ``q`` is a question, ``saved`` the name of one."""
        asked = Asked(sql=request.query_params.get("q", ""), name=request.query_params.get("saved", ""))
        if asked.name and not asked.sql:
            find = partial(saved_queries.find, account_id=viewer_of(request).account_id, name=asked.name)
            found = await self._context.store.read(find)
            if found is None:
                asked = Asked(words="There is no saved question of this name.", status=404)
            else:
                asked.sql = found.sql
        return await self._answered(request, asked)

    async def act(self, request: Request) -> Response:
        """POST: ask, save, delete, or give a file."""
        try:
            form = _fields(await read_body(request, _FORM_BYTES))
        except TooLarge:
            return await self._shown(request, Asked(words="The question is too long.", status=413))
        asked = Asked(sql=form.get("q", "").replace("\r\n", "\n").strip(), name=form.get("name", "").strip())
        action = form.get("action", "run")
        if action in EXPORT_TYPES:
            return await self._file(request, asked, action)
        if action == "save":
            return await self._save(request, asked)
        if action == "delete":
            return await self._delete(request, asked)
        if len(asked.sql) <= SHORT:
            return RedirectResponse(_address(q=asked.sql, saved=asked.name), 303)
        return await self._answered(request, asked)

    async def _answered(self, request: Request, asked: Asked) -> Response:
        if asked.sql and not asked.words:
            with self._told(asked):
                asked.answer = await self._context.engine.own(
                    asked.sql, account_id=viewer_of(request).account_id, limits=self._limits()
                )
        return await self._shown(request, asked)

    async def _file(self, request: Request, asked: Asked, kind: Any) -> Response:
        account_id = viewer_of(request).account_id
        chunks = self._context.engine.export_own(asked.sql, account_id=account_id, kind=kind, limits=self._limits())
        first = b""
        with self._told(asked):
            first = await anext(chunks, b"")
        if asked.words:
            return await self._shown(request, asked)

        async def content() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(chunks):
                yield first
                async for chunk in chunks:
                    yield chunk

        name = "".join(c if c.isascii() and c.isalnum() else "-" for c in asked.name).strip("-") or "answer"
        headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
        return StreamingResponse(content(), media_type=EXPORT_TYPES[kind], headers=headers)

    async def _save(self, request: Request, asked: Asked) -> Response:
        viewer = viewer_of(request)
        query = SavedQuery(
            account_id=viewer.account_id,
            name=asked.name,
            sql=asked.sql,
            saved_by=viewer.name,
            saved_at_us=self._context.clock.now_us(),
        )
        actor = actor_of(request)

        def work(tx: Transaction) -> None:
            action = "query change" if saved_queries.save(tx, query) else "query create"
            # By its name: what it asks for may have in it whom it asks about.
            audit.note(tx, actor, action, query.name, now_us=query.saved_at_us)

        try:
            await self._context.store.write(work)
        except InvalidRequest as error:
            asked.words, asked.status = f"Not saved: {error}.", 400
            return await self._shown(request, asked)
        return RedirectResponse(_address(saved=asked.name), 303)

    async def _delete(self, request: Request, asked: Asked) -> Response:
        viewer, actor, now_us = viewer_of(request), actor_of(request), self._context.clock.now_us()

        def work(tx: Transaction) -> None:
            if saved_queries.remove(tx, viewer.account_id, asked.name):
                audit.note(tx, actor, "query delete", asked.name, now_us=now_us)

        await self._context.store.write(work)
        return RedirectResponse(PATH, 303)

    @contextlib.contextmanager
    def _told(self, asked: Asked) -> Any:
        """Keep why there is no answer."""
        try:
            yield
        except QuestionRefused as error:
            asked.words, asked.place = placed(str(error))
            asked.status = 400
        except QuestionTooLong as error:
            asked.words, asked.status = str(error), 503
        except AnalyticsAway:
            asked.words, asked.status = AWAY.text, 503

    async def _shown(self, request: Request, asked: Asked) -> Response:
        every = partial(saved_queries.every, account_id=viewer_of(request).account_id)
        answer = asked.answer
        return await self._frame.answer(
            request,
            "sql",
            "analytics_sql.html",
            status=asked.status,
            asked=asked,
            answer=answer,
            rows=[] if answer is None else [list(map(_cell, row)) for row in answer.rows[:SHOWN_ROWS]],
            is_number=[]
            if answer is None
            else [kind in _NUMBERS or kind.startswith("DECIMAL") for kind in answer.types],
            shown_rows=SHOWN_ROWS,
            limits=self._limits(),
            is_plan=bool(answer and list(answer.columns) == ["explain_key", "explain_value"]),
            saved=await self._context.store.read(every),
            tables=TABLES,
            examples=[(name, sql, _address(q=sql)) for name, sql in EXAMPLES],
            saved_address=lambda query: _address(saved=query.name),
        )

    def _limits(self) -> Limits:
        return Limits(timeout_s=self._context.analytics.query_timeout_s, rows=self._context.analytics.query_rows)


_NUMBERS: Final = frozenset("BIGINT DOUBLE FLOAT HUGEINT INTEGER SMALLINT TINYINT UBIGINT UINTEGER".split())  # noqa: SIM905


def _cell(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _address(**params: str) -> str:
    query = urlencode({name: value for name, value in params.items() if value})
    return f"{PATH}?{query}" if query else PATH


def _fields(body: bytes) -> Mapping[str, str]:
    pairs = parse_qs(body.decode("latin-1"), encoding="utf-8", errors="replace")
    return {name: values[-1] for name, values in pairs.items()}
