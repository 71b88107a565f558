"""Processes that write to one SQLite file take turns.

SQLite lets a writer that finds the file taken sleep and look again, longer each time, so that a busy process
starves a quiet one. Here everybody queues at a gate before the turn: a process that has just had its turn finds
the gate held by whoever waits, and comes after it.
"""

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from ringback.model.errors import StoreUnavailable

LOOK_AGAIN_S: Final = 0.0005
GATE: Final = 0
_TURN: Final = 1
_URGENT: Final = 2


class Turn:
    """The right to write, as a context manager for one thread; a process that dies loses it."""

    def __init__(self, path: Path, *, timeout_s: float, is_urgent: bool = False) -> None:
        """``is_urgent``: somebody waits for an answer until this process has had its turn."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._timeout_s = timeout_s
        self._pause = threading.Event()
        self._is_urgent = is_urgent
        self.is_wanted = False
        """Whether a process with urgent writes waited when the last turn here ended."""

    def __enter__(self) -> None:
        """Wait for the turn. Raises ``StoreUnavailable`` after the timeout."""
        until_s = time.monotonic() + self._timeout_s
        if self._is_urgent:
            # Shared by all who are in a hurry: whoever has the turn sees that there is one. If somebody is just
            # looking, he misses this one.
            with contextlib.suppress(BlockingIOError):
                fcntl.lockf(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _URGENT)
        try:
            self._take(GATE, until_s)
            try:
                self._take(_TURN, until_s)
            finally:
                self._release(GATE)
        finally:
            if self._is_urgent:
                self._release(_URGENT)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Let the next one write."""
        if not self._is_urgent:
            self.is_wanted = self._is_urgently_wanted()
        self._release(_TURN)

    def close(self) -> None:
        """Take no more turns."""
        os.close(self._file)

    def _is_urgently_wanted(self) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _URGENT)
        except BlockingIOError:
            return True
        self._release(_URGENT)
        return False

    def _take(self, which: int, until_s: float) -> None:
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, which)
            except BlockingIOError:
                if time.monotonic() >= until_s:
                    raise StoreUnavailable(
                        f"the database did not take the transaction: other processes write for {self._timeout_s:g} s"
                    ) from None
                self._pause.wait(LOOK_AGAIN_S)
            else:
                return

    def _release(self, which: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, which)
