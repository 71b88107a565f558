"""What carriers add beside the hot path is found by index too."""

from pathlib import Path

from ringback.store import parts, submissions
from ringback.store.sqlite import open_store
from tests.unit.test_query_plans import plans, statements


async def test_lanes_parts_and_deadlines_are_read_by_index(tmp_path: Path) -> None:
    store = open_store(tmp_path, busy_timeout_s=4)
    try:
        with statements() as found:
            await store.read(submissions.lanes)
            await store.read(lambda tx: submissions.next_due_at_us(tx, "x", ""))
            await store.write(lambda tx: submissions.due(tx, lane="x", now_us=1, limit=1))
            await store.write(lambda tx: submissions.unpark(tx, lane="x", now_us=1, limit=1))
            await store.read(lambda tx: parts.by_carrier_ref(tx, "x", ["a", "b"]))
            await store.read(lambda tx: parts.of_messages(tx, ["a", "b"]))
            await store.read(parts.first_deadline_us)
            await store.write(lambda tx: parts.take_overdue(tx, now_us=1, limit=1))
            await store.write(lambda tx: parts.remove(tx, ["a"]))
    finally:
        await store.close()
    assert len(found) >= 10
    for statement, plan in plans(tmp_path, found).items():
        assert not any(step.startswith("SCAN") for step in plan), (statement, plan)
        assert not any("TEMP B-TREE" in step for step in plan), (statement, plan)
