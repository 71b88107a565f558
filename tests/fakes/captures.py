"""Captures to test with."""

from typing import Any

from ringback.store.captures import Capture


def capture(number: int = 1, **changes: Any) -> Capture:
    """Make a capture, with changes."""
    fields: dict[str, Any] = {
        "bin_id": "b", "number": number, "received_at_us": 1_700_000_000_000_001, "method": "POST", "path": "/bin/t",
        "query": "", "headers": "[]", "cut": "", "size": 1, "peer": "::1", "group_key": "k", "attempt": 1,
        "answer": "answer", "answered_status": 200, "duration_us": None, "outcome": "", "body_size": 0, "body": b"",
    }  # fmt: skip
    return Capture(**fields | changes)
