"""Keys as they are pressed, from a terminal that is told to hand them over at once."""

import asyncio
import os
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

NAMES: Final = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
}
"""What terminals send for keys that have no character; others send nothing that is wanted here."""


def read_keys(pressed: bytes) -> list[str]:
    """Return keys as names, or as the characters that they stand for."""
    found: list[str] = []
    while pressed:
        name = next((known for known in sorted(NAMES, key=len, reverse=True) if pressed.startswith(known)), None)
        if name == b"\x1b" and pressed[1:2] in {b"[", b"O"}:
            # A key of no use here, such as F5.
            size = next((at for at, byte in enumerate(pressed[2:], 3) if 0x40 <= byte <= 0x7E), len(pressed))
            pressed = pressed[size:]
        elif name is not None:
            found.append(NAMES[name])
            pressed = pressed[len(name) :]
        else:
            size = next((at for at in range(1, len(pressed)) if pressed[at] & 0xC0 != 0x80), len(pressed))
            found += [each for each in pressed[:size].decode("utf-8", "replace") if each.isprintable()]
            pressed = pressed[size:]
    return found


@asynccontextmanager
async def keyboard(terminal: int) -> AsyncIterator["asyncio.Queue[str]"]:
    """Give what is pressed at a terminal, until the block ends; Ctrl-C stays a signal."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def take() -> None:
        try:
            pressed = os.read(terminal, 1024)
        except OSError:
            pressed = b""
        if not pressed:
            # The terminal has gone, and would be readable for ever.
            loop.remove_reader(terminal)
        for key in read_keys(pressed):
            queue.put_nowait(key)

    with _at_once(terminal):
        loop.add_reader(terminal, take)
        try:
            yield queue
        finally:
            loop.remove_reader(terminal)


@contextmanager
def _at_once(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
