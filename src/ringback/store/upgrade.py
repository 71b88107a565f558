"""Bringing a database to the schema of this Ringback, whatever the driver."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

SCRIPTS: Final = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Run the revisions that are missing, in the caller's transaction, which also keeps others from doing it.

    Raises what the database raises, and Alembic's ``CommandError``.
    """
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_newer(error: Exception) -> bool:
    """Say whether :func:`upgrade` failed because the database has a revision that this Ringback does not know."""
    return "can't locate revision" in str(error).lower()
