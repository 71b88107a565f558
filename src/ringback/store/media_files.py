"""The bytes of media: one file each, under the id of its row.

A file is written under a temporary name, synced and renamed before its row is committed, and removed after its row
is: whatever a crash leaves is a file without a row, which a later sweep finds. Names come from ids alone, never from
what a customer calls a file.
"""

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

from ringback.model.errors import DataDirUnusable, OutOfSpace, StoreUnavailable
from ringback.model.ids import as_uuid

T = TypeVar("T")

THREADS: Final = 4
INCOMING: Final = "incoming"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class MediaFiles:
    """Files of media in one directory, which several processes may share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Apart from the loop's own threads, which slow name servers may hold.
        self._threads = ThreadPoolExecutor(THREADS, "media")

    def prepare(self) -> None:
        """Make the directory, readable by its owner only. Raises ``DataDirUnusable``."""
        try:
            (self._directory / INCOMING).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
        except OSError as error:
            raise DataDirUnusable(
                f"media directory {self._directory} cannot be written ({error.strerror}): "
                "give it to this user, or set store.media_dir to another"
            ) from error

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def path(self, media_id: str) -> Path:
        """Return where a medium's file is, by its canonical uuid."""
        # The first digits of an id are a time: the last ones spread.
        return self._directory / media_id[-2:] / media_id

    def begin(self) -> "Draft":
        """Begin a new file, which is there from the first write on."""
        return Draft(self, self._directory / INCOMING / uuid4().hex)

    async def size(self, media_id: str) -> int | None:
        """Return how large a file is, ``None`` when there is none."""

        def look() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                return self.path(media_id).stat().st_size
            return None

        return await self.run(look)

    async def remove(self, media_ids: Sequence[str]) -> None:
        """Remove files whose rows are gone."""

        def work() -> None:
            for media_id in media_ids:
                self.path(media_id).unlink(missing_ok=True)

        await self.run(work)

    async def old_ids(self, *, older_than_s: float) -> list[str]:
        """Return the ids of all files that old, and remove what was begun then and never finished."""
        return await self.run(lambda: list(self._walk(time.time() - older_than_s)))

    def _walk(self, before_s: float) -> Iterator[str]:
        for directory in self._directory.iterdir():
            if not directory.is_dir():
                continue
            for path in directory.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime >= before_s:
                        continue
                    if directory.name == INCOMING:
                        path.unlink()
                    elif as_uuid(path.name) == path.name:
                        yield path.name

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do file work in a thread; a full disk is ``OutOfSpace``, other failures are ``StoreUnavailable``.

        Whoever is cancelled waits for the thread: nothing is closed or removed under its hands.
        """
        working = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working})
            raise
        except OSError as error:
            if error.errno in _FULL:
                raise OutOfSpace(
                    "the disk for media is full, nothing was stored; the operator has to make room"
                ) from error
            raise StoreUnavailable(f"media directory: {error.strerror}") from error


class Draft:
    """A file that is being written: kept under an id in the end, or discarded."""

    def __init__(self, files: MediaFiles, path: Path) -> None:
        self._files = files
        self._path = path
        self._descriptor: int | None = None
        self.size_bytes = 0

    async def write(self, data: bytes) -> None:
        """Append. Raises ``OutOfSpace`` or ``StoreUnavailable``."""
        await self._files.run(self._write, data)
        self.size_bytes += len(data)

    async def keep(self, media_id: str) -> None:
        """Put the file on disk under its id. Raises as ``write``."""
        await self._files.run(self._keep, self._files.path(media_id))

    async def discard(self) -> None:
        """Remove it, unless it was kept."""
        if self._descriptor is not None:
            await self._files.run(self._discard)

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _write_all(self._descriptor, data)

    def _keep(self, final: Path) -> None:
        if self._descriptor is None:
            raise RuntimeError("a file without content is not kept")
        _settle(self._descriptor, self._path, final)
        self._close()

    def _discard(self) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _settle(descriptor: int, temporary: Path, final: Path) -> None:
    os.fsync(descriptor)
    try:
        temporary.rename(final)
    except FileNotFoundError:
        final.parent.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(final.parent.parent)
        temporary.rename(final)
    _sync_directory(final.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
