"""Numbers are found by index: those of a message on its way, and those that somebody searches."""

from pathlib import Path

import pytest

from ringback.store import applications, numbers, powerpacks
from ringback.store.scope import Scope
from ringback.store.sqlite import SqliteStore, open_store
from tests.unit.test_query_plans import plans, statements

SCOPE = Scope("MAAAAAAAAAAAAAAAAAAA", None)
UUID = "019ab000-0000-7000-8000-000000000001"


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return open_store(tmp_path, busy_timeout_s=4)


async def test_nobody_reads_the_whole_inventory(store: SqliteStore, tmp_path: Path) -> None:
    with statements() as found:
        await store.read(lambda tx: numbers.owner(tx, "14155550100"))
        await store.read(lambda tx: numbers.find(tx, SCOPE, "14155550100"))
        await store.read(lambda tx: numbers.page(tx, SCOPE, numbers.Filter(prefix="1415"), limit=20, offset=0))
        search = numbers.Search(country="US", prefix="1415")
        await store.read(lambda tx: numbers.for_rent(tx, search, limit=20, offset=0))
        await store.read(lambda tx: powerpacks.candidates(tx, UUID))
        await store.read(lambda tx: powerpacks.kept_numbers(tx, UUID, ["14155550100"]))
        await store.read(
            lambda tx: powerpacks.pool_page(tx, UUID, powerpacks.PoolFilter(kind="number"), limit=20, offset=0)
        )
        await store.write(lambda tx: powerpacks.prune_kept(tx, before_us=1, limit=100))
        await store.write(lambda tx: applications.default_for_numbers(tx, SCOPE))
    await store.close()
    shown = plans(tmp_path, found)
    wrong = {
        statement: plan
        for statement, plan in shown.items()
        if any(step.startswith("SCAN") or "TEMP" in step for step in plan)
    }
    assert wrong == {}
    owner = next(plan for statement, plan in shown.items() if "nullif" in statement)
    # One row of each of the three, by its key.
    assert [step.split(" USING ")[1].removesuffix(" LEFT-JOIN") for step in owner] == [
        "PRIMARY KEY (number=?)", "PRIMARY KEY (uuid=?)", "PRIMARY KEY (app_id=?)",
    ]  # fmt: skip
    searched = next(
        plan
        for statement, plan in shown.items()
        if "ORDER BY numbers.number" in statement and "country = ?" in statement
    )
    assert "ix_numbers_for_rent" in searched[0]
