"""Who may read the analytics' files: the user that Ringback runs as, and nobody else, as with the store.

DuckDB makes its files as the umask says. What it makes only now and then, such as its log of changes, lies in a
directory that others cannot enter.
"""

from pathlib import Path
from typing import Final

from ringback.model.errors import DataDirUnusable

_DIRECTORY: Final = 0o700
_FILE: Final = 0o600


def make_directory(path: Path) -> None:
    """Let there be a directory for this user only; those above it that are missing are made the same way.

    Raises ``DataDirUnusable``.
    """
    try:
        if not path.parent.exists():
            make_directory(path.parent)
        path.mkdir(mode=_DIRECTORY, exist_ok=True)
        path.chmod(_DIRECTORY)
    except OSError as error:
        raise DataDirUnusable(
            f"directory {path} of the analytics cannot be made private ({error.strerror}): "
            "give it to this user, or set analytics.dir to another"
        ) from error


def close_to_others(path: Path) -> None:
    """Let this user only read a file, or a directory with all that is in it; links are left alone."""
    for each in [path, *path.rglob("*")]:
        if not each.is_symlink():
            each.chmod(_DIRECTORY if each.is_dir() else _FILE)
