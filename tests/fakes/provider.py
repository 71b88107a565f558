"""A provider's REST API: holds records of messages, lists them newest first, and fails as told."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ringback.dialect.times import filter_time_us, record_time
from ringback.receiver.rest import Reply
from ringback.receiver.sources.upstream import Upstream

Answer = Callable[[], Reply]


def record(uuid: str, state: str, at_us: int, **more: Any) -> dict[str, Any]:
    """Return the record of a message."""
    return {
        "message_uuid": uuid,
        "message_state": state,
        "message_direction": "outbound",
        "message_type": "sms",
        "message_time": record_time(at_us),
        "message_sent_time": None if state == "queued" else record_time(at_us + 1),
        "message_updated_time": record_time(at_us + 2),
        "from_number": "14155551111",
        "to_number": "14155552222",
        "units": 1,
        "total_rate": "0.00550",
        "total_amount": "0.00550",
        "error_code": None,
        **more,
    }


class FakeProvider:
    """Implements ``reconcile.Asks``."""

    def __init__(self, *, most_offset: int = 10**9, says_totals: bool = True) -> None:
        self.messages: dict[str, tuple[int, dict[str, Any]]] = {}
        self.targets: list[str] = []
        self.offsets: list[int] = []
        self._most_offset = most_offset
        self._says_totals = says_totals
        self._next: list[Reply] = []

    def put(self, uuid: str, state: str, at_us: int, **more: Any) -> None:
        """Have a message, or let it take a state."""
        self.messages[uuid] = at_us, record(uuid, state, at_us, **more)

    def answer_next(self, *replies: Reply) -> None:
        """Answer the next requests so, in this order."""
        self._next.extend(replies)

    async def ask(self, upstream: Upstream, method: str, target: str) -> Reply:
        """Answer a request."""
        assert (method, upstream.auth_id) == ("GET", "MA")
        self.targets.append(target)
        if self._next:
            return self._next.pop(0)
        place = urlsplit(target)
        if place.path == "/v1/Account/MA/Message/":
            return self._list({name: values[0] for name, values in parse_qs(place.query).items()})
        _, found = self.messages.get(place.path.split("/")[5], (0, None))
        if found is None:
            return Reply(http_status=404, error="answered 404: not found")
        return Reply(http_status=200, body=json.dumps({"api_id": "x", **found}).encode())

    def _list(self, query: dict[str, str]) -> Reply:
        since_us, until_us = (filter_time_us(query[f"message_time__{bound}"]) for bound in ("gte", "lt"))
        assert since_us is not None
        assert until_us is not None
        limit, offset = int(query["limit"]), int(query["offset"])
        self.offsets.append(offset)
        assert offset <= self._most_offset
        listed = sorted(
            (at_us, uuid, found)
            for uuid, (at_us, found) in self.messages.items()
            if since_us <= at_us < until_us and found["message_direction"] == "outbound"
        )[::-1]
        part = [found for _, _, found in listed[offset : offset + limit]]
        meta: dict[str, Any] = {"limit": limit, "offset": offset}
        if self._says_totals:
            more = offset + limit < len(listed)
            meta |= {"total_count": len(listed), "next": "/next" if more else None}
        return Reply(http_status=200, body=json.dumps({"api_id": "x", "meta": meta, "objects": part}).encode())
