"""The screen of ``ringback listen``: what is shown, and what keys change of it. It neither reads keys nor draws."""

import shlex
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ringback.cli.listening import Filter, Heard
from ringback.inspector.exports import as_text, headers_of
from ringback.model.errors import InvalidRequest
from ringback.web.signed import FITS

Action = Literal["", "quit", "resend"]

KEPT: Final = 2_000
NARROW: Final = 100
"""Columns; on narrower screens some of what is said is left out."""
FRAME_LINES: Final = 6
"""Lines that are not rows of the list."""
BODY_SHOWN: Final = 4_000
ANSWER_SHOWN: Final = 200
ID_SHOWN: Final = 8
"""Of a message's id, from its end: time-ordered ones begin alike."""

_CONSOLE: Final = Console(quiet=True)
"""For breaking lines only."""

HINTS: Final = "q quit  p pause  f filter  r resend  enter details  ↑↓ page choose  end newest"


class Screen:
    """What somebody looks at, and has chosen."""

    def __init__(self, title: str, target: str) -> None:
        self._title = title
        self._target = target
        self._rows: deque[Heard] = deque(maxlen=KEPT)
        self._frozen: list[Heard] | None = None
        self._filter = Filter()
        self._words = ""
        self._typing: str | None = None
        self._chosen: int | None = None
        self._details = False
        self._scrolled = 0
        self._note = ""
        self._height = 20

    # ---- what comes ----

    def take(self, heard: Heard) -> None:
        """Take a capture, or what has become of one that is there."""
        for rows in (self._rows, self._frozen or []):
            for at in range(len(rows) - 1, -1, -1):
                if rows[at].capture.number == heard.capture.number:
                    rows[at] = heard
                    break
                if rows[at].capture.number < heard.capture.number:
                    if rows is self._rows:
                        rows.insert(at + 1, heard) if len(rows) < KEPT else rows.append(heard)
                    break
            else:
                if rows is self._rows:
                    rows.append(heard)

    def say(self, note: str) -> None:
        """Show a short text until the next key."""
        self._note = note

    # ---- keys ----

    def press(self, key: str) -> Action:
        """Do what a key says; returns what is left to the caller."""
        if self._typing is not None:
            self._type(key)
            return ""
        self._note = ""
        if key in {"q", "Q"}:
            return "quit"
        if key in {"r", "R"}:
            return "resend"
        if key in {"p", "P", " "}:
            self._frozen = list(self._rows) if self._frozen is None else None
        elif key in {"f", "F", "/"}:
            self._typing = self._words
        elif self._details and key in {"page up", "page down"}:
            self._scrolled = max(self._scrolled + (self._height if key == "page down" else -self._height) // 2, 0)
        elif key == "enter":
            self._scrolled = 0
            self._details = not self._details and self.chosen() is not None
        elif key == "escape":
            self._details, self._chosen = False, None
        else:
            self._move(key)
        return ""

    def _type(self, key: str) -> None:
        typed = self._typing or ""
        if key == "escape":
            self._typing = None
        elif key == "enter":
            try:
                self._filter, self._words = Filter.read(shlex.split(typed)), typed
                self._typing = None
            except (InvalidRequest, ValueError) as error:
                self._note = str(error)
        elif key == "backspace":
            self._typing = typed[:-1]
        elif len(key) == 1:
            self._typing = (typed + key)[:200]

    def _move(self, key: str) -> None:
        numbers = [heard.capture.number for heard in self.shown()]
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -self._height, "page down": self._height}
        if key == "end" or not numbers:
            self._chosen = None
        elif key == "home":
            self._chosen = numbers[0]
        elif key in steps:
            at = numbers.index(self._chosen) if self._chosen in numbers else len(numbers) - 1
            at = min(max(at + steps[key], 0), len(numbers) - 1)
            # At the end the list goes on moving with what comes.
            self._chosen = None if at == len(numbers) - 1 and steps[key] > 0 else numbers[at]

    # ---- what is there ----

    def shown(self) -> list[Heard]:
        """Return what the filter lets through, oldest first."""
        return [heard for heard in (self._rows if self._frozen is None else self._frozen) if self._filter.takes(heard)]

    def chosen(self) -> Heard | None:
        """Return the capture that keys are about: the newest while none is chosen."""
        shown = self.shown()
        found = next((heard for heard in shown if heard.capture.number == self._chosen), None)
        return found or (shown[-1] if shown else None)

    # ---- drawing ----

    def draw(self, width: int, height: int) -> RenderableType:
        """Return what fills a terminal of this size."""
        self._height = max(height - FRAME_LINES, 1)
        body = self._detail(width) if self._details else self._list(width)
        return Group(self._head(width), body, self._foot())

    def _head(self, width: int) -> Text:
        state = f"paused, {len(self._rows) - len(self._frozen)} new" if self._frozen is not None else "live"
        head = Text(no_wrap=True, overflow="ellipsis")
        head.append(_plain(self._title), style="bold")
        if self._target:
            head.append(f" → {_plain(self._target)}")
        head.append("\n")
        head.append(state, style="yellow" if self._frozen is not None else "green")
        head.append(f"  {len(self._rows)} captures")
        if self._words:
            head.append(f"  {len(self.shown())} with {_plain(self._words)}")
        head.truncate(width * 2)
        return head

    def _foot(self) -> Text:
        if self._typing is not None:
            foot = Text(f"filter: {_plain(self._typing)}▏", style="bold")
            foot.append(f"  {_plain(self._note) or 'enter takes it, escape leaves it'}", style="not bold dim")
        else:
            foot = Text(_plain(self._note) or HINTS, style="" if self._note else "dim")
        foot.no_wrap, foot.overflow = True, "ellipsis"
        return foot

    def _list(self, width: int) -> RenderableType:
        shown = self.shown()
        if not shown:
            return Text("\nNothing has come yet.\n" if not self._rows else "\nNothing here passes the filter.\n")
        chosen = self.chosen()
        at = shown.index(chosen) if chosen is not None else len(shown) - 1
        # The chosen one is kept on the screen; without one, the newest are.
        end = len(shown) if self._chosen is None else min(max(at + 1 + self._height // 2, self._height), len(shown))
        wide = width >= NARROW
        table = Table(box=None, expand=True, pad_edge=False, show_edge=False)
        table.add_column("time", width=12 if wide else 8, no_wrap=True)
        table.add_column("", width=6, no_wrap=True)
        table.add_column("path", ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column("callback", ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column("signed", width=12 if wide else 6, no_wrap=True, overflow="ellipsis")
        table.add_column("answer", width=16 if wide else 12, no_wrap=True, overflow="ellipsis", justify="right")
        for heard in shown[max(end - self._height, 0) : end]:
            is_chosen = heard is chosen and self._chosen is not None
            table.add_row(*self._row(heard, wide=wide), style="reverse" if is_chosen else "")
        return table

    def _row(self, heard: Heard, *, wide: bool) -> tuple[Text, ...]:
        item, said = heard.capture, heard.said
        callback = Text("")
        if said is not None:
            callback = Text(
                f"{_plain(said.message_id[-ID_SHOWN:])} {_plain(said.their_status)}", style=_colour(said.their_status)
            )
            if said.error_code not in {None, "000"}:
                callback.append(f" {_plain(said.error_code or '')}")
            callback.append(f"  {said.kind}" if wide else "", style="dim")
        return (
            Text(_clock(item.received_at_us)[: 12 if wide else 8]),
            Text(_plain(item.method)[:6]),
            Text(_plain(heard.rest.partition("?")[0])),
            callback,
            _signed(heard.verdict),
            _answer(heard),
        )

    def _detail(self, width: int) -> RenderableType:
        heard = self.chosen()
        if heard is None:
            return Text("\nNothing is chosen.\n")
        item = heard.capture
        text = Text()
        text.append(f"{_plain(item.method)} {_plain(heard.rest)}\n", style="bold")
        if heard.verdict is not None:
            text.append_text(Text("signed: ").append_text(_signed(heard.verdict))).append("\n")
        if heard.sent is not None:
            text.append_text(Text("answer: ").append_text(_answer(heard)))
            text.append(f" {_plain(heard.sent.error or '')} {_body(heard.sent.body)[:ANSWER_SHOWN]}\n")
        text.append("\n")
        _append_pairs(text, heard.said.raw if heard.said is not None else ())
        if heard.said is None and item.body:
            text.append(_body(item.body) + "\n")
        text.append("\n")
        _append_pairs(text, headers_of(item))
        lines = text.wrap(_CONSOLE, max(width - 4, 10))
        room = max(self._height - 1, 1)
        self._scrolled = min(self._scrolled, max(len(lines) - room, 0))
        seen = lines[self._scrolled : self._scrolled + room]
        return Panel(Text("\n").join(seen), title=f"capture {item.number}, {_clock(item.received_at_us)} UTC")


def _append_pairs(text: Text, pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        text.append(f"{_plain(name)}: ", style="dim")
        text.append(f"{_plain(value)}\n")


def _signed(verdict: str | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(verdict.replace("_", " "), style="green" if verdict in FITS else "red")


def _answer(heard: Heard) -> Text:
    sent = heard.sent
    if sent is None:
        return Text("")
    took = f" {sent.duration_us / 1000:.0f} ms"
    if sent.status is None:
        return Text("no answer" + took, style="red")
    return Text(f"{sent.status}{took}", style="green" if 200 <= sent.status < 300 else "red")


def _colour(status: str) -> str:
    return {"delivered": "green", "undelivered": "red", "failed": "red"}.get(status, "")


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%H:%M:%S.%f")[:12]


def _body(body: bytes) -> str:
    text = as_text(body[:BODY_SHOWN])
    if text is None:
        return f"{len(body)} bytes that are no text"
    return "\n".join(_plain(line) for line in text.splitlines())


def _plain(text: str) -> str:
    """Return what a stranger wrote without what a terminal would take for an order."""
    return "".join(character if character.isprintable() else "·" for character in text)
