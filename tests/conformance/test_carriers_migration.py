"""What waited before there were carriers goes on after the upgrade, and there is a way back."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ringback.store import submissions
from tests.conformance.conftest import Database
from tests.conformance.test_migrations import differences, execute
from tests.conformance.test_submissions import new

BEFORE = "0002"


def migrate(url: str, revision: str, *, down: bool = False) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "ringback.store:migrations")
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
    engine.dispose()


async def test_what_waits_is_found_after_the_upgrade_and_the_way_back(database: Database) -> None:
    migrate(database.url, BEFORE)
    row = {name: value for name, value in new(7, 5).items() if name not in {"route", "tried", "unknowns"}}
    names = ", ".join(row)
    values = ", ".join("NULL" if value is None else repr(value) for value in row.values())
    execute(database.url, f"INSERT INTO submissions ({names}) VALUES ({values})")  # noqa: S608 - own values
    store = database.open()
    [found] = await store.write(lambda tx: submissions.due(tx, lane=submissions.UNROUTED, now_us=6, limit=9))
    assert (found.message_uuid, found.text, found.route, found.unknowns) == (row["message_uuid"], row["text"], None, 0)
    await store.close()
    assert differences(database.url) == []
    migrate(database.url, BEFORE, down=True)
    store = database.open()
    assert await store.read(submissions.waiting) == 1
    await store.close()
