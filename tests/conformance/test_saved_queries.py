"""Saved questions: each account has its own under a name, and the operators have theirs."""

from functools import partial
from typing import Any

import pytest

from ringback.model.errors import InvalidRequest
from ringback.store import saved_queries
from ringback.store.port import Store
from ringback.store.saved_queries import SavedQuery


def a_query(name: str = "rate", **changes: Any) -> SavedQuery:
    fields: dict[str, Any] = {
        "account_id": None, "name": name, "sql": "SELECT 'é'", "saved_by": "operator", "saved_at_us": 7
    }  # fmt: skip
    return SavedQuery(**fields | changes)


async def save(store: Store, *queries: SavedQuery) -> None:
    for query in queries:
        await store.write(partial(saved_queries.save, query=query))


async def names(store: Store, account_id: str | None) -> list[str]:
    return [query.name for query in await store.read(partial(saved_queries.every, account_id=account_id))]


async def test_a_query_is_kept_as_it_is(store: Store) -> None:
    await save(store, a_query())
    assert await store.read(partial(saved_queries.find, account_id=None, name="rate")) == a_query()


async def test_the_same_name_replaces(store: Store) -> None:
    await save(store, a_query(), a_query(sql="SELECT 2", saved_by="ann", saved_at_us=8))
    assert await store.read(partial(saved_queries.every, account_id=None)) == [
        a_query(sql="SELECT 2", saved_by="ann", saved_at_us=8)
    ]


async def test_each_account_sees_its_own(store: Store) -> None:
    await save(store, a_query("b"), a_query("a"), a_query("c", account_id="MA1"), a_query("c", account_id="MA2"))
    assert await names(store, None) == ["a", "b"]
    assert await names(store, "MA1") == ["c"]
    assert await store.write(partial(saved_queries.remove, account_id="MA1", name="c"))
    assert not await store.write(partial(saved_queries.remove, account_id="MA1", name="a"))
    assert await names(store, "MA1") == []
    assert await names(store, "MA2") == ["c"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\nb"])
async def test_a_name_that_is_none_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        await save(store, a_query(name))


async def test_a_question_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="no question"):
        await save(store, a_query(sql=" "))


async def test_there_is_a_most(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_queries, "MOST", 2)
    await save(store, a_query("a"), a_query("b"), a_query("b"))
    with pytest.raises(InvalidRequest, match="2 saved queries"):
        await save(store, a_query("c"))
