"""What is in the directory of the analytics beside the file: where the sealed days are."""

from datetime import date
from pathlib import Path
from typing import Final

import msgspec

KINDS: Final = ("messages", "events")
"""Of what a day has a file each."""

REBUILD_WANTED: Final = "rebuild-wanted"
"""A file of this name beside the analytics file asks its owner to make it anew."""


class Days(msgspec.Struct, frozen=True):
    """Where the days of one database are sealed."""

    directory: Path

    def path(self, kind: str, day: date) -> Path:
        """Return where a day's file is."""
        return self.directory / f"{kind}-{day.isoformat()}.parquet"

    @property
    def whole(self) -> Path:
        """The directory of the analytics, where the file itself is too."""
        return self.directory.parent.parent

    def size_bytes(self) -> int:
        """Return what the analytics file and all sealed days take on the disk."""
        return sum(path.stat().st_size for path in self.whole.rglob("*") if path.is_file())

    def sealed(self) -> list[date]:
        """Return the days that both files are there of, oldest first."""
        found = [
            {path.stem.removeprefix(f"{kind}-") for path in self.directory.glob(f"{kind}-*.parquet")} for kind in KINDS
        ]
        return sorted(date.fromisoformat(day) for day in found[0] & found[1])
