"""What answers mean for the message that was handed over, or was about to be."""

from typing import Final

from ringback.carriers.plivo.client import Lost, Outcome, Reply
from ringback.carriers.port import Accepted, Deferred, Rejected, SubmitOutcome, Unknown
from ringback.dialect import upstream

DOWN_PAUSE_S: Final = 1.0
THROTTLED_PAUSE_S: Final = 2.0
TROUBLED_PAUSE_S: Final = 5.0
"""After an answer that says that the other side is in trouble, not the message."""


def judge_sent(outcome: Outcome, *, src: str) -> SubmitOutcome:
    """Say what became of a message."""
    match outcome:
        case Lost(detail):
            return Unknown(detail=detail)
        case Reply(status=status, content=content) if 200 <= status < 300:
            uuid = upstream.message_uuid(content)
            if uuid is not None:
                return Accepted(carrier_refs=(uuid,))
            if upstream.invalid_numbers(content):
                return Rejected(error_code=upstream.BAD_NUMBER, detail=f"answered {status}: the number is invalid")
            return Unknown(detail=f"answered {status} without saying what the message is called")
        case Reply(status=504):
            # It handed the request on and heard nothing: as if the answer had not come to us in time.
            return Unknown(detail="answered 504: a proxy got no answer in time")
    return _not_taken(outcome, src=src)


def judge_uploaded(outcome: Outcome, *, expected: int) -> tuple[str, ...] | Rejected | Deferred:
    """Say which media there are now; without all of them the message itself is not handed over."""
    match outcome:
        case Lost(detail):
            return Deferred(retry_after_s=TROUBLED_PAUSE_S, detail=f"media: {detail}")
        case Reply(status=status, content=content) if 200 <= status < 300:
            ids, why = upstream.media_ids(content)
            if len(ids) == expected:
                return tuple(ids)
            return Rejected(error_code=upstream.INVALID, detail=f"media: {why or f'answered {status}'}")
        case Reply(status=413):
            return Rejected(error_code=upstream.TOO_LARGE, detail="media: answered 413: too large")
        case Reply(status=415, content=content):
            detail = f"media: answered 415: {upstream.error_text(content)}"
            return Rejected(error_code=upstream.INVALID, detail=detail)
    return _not_taken(outcome, src="")


def _not_taken(outcome: Outcome, *, src: str) -> Rejected | Deferred:
    match outcome:
        case Reply(status=401):
            # As a bind that is refused: the operator has to set the new token, and no message is at fault.
            return Deferred(retry_after_s=TROUBLED_PAUSE_S, detail="answered 401", reason="down")
        case Reply(status=408 | 429, retry_after_s=wanted_s):
            pause_s = wanted_s or THROTTLED_PAUSE_S
            return Deferred(retry_after_s=pause_s, detail=f"answered {outcome.status}")
        case Reply(status=status, retry_after_s=wanted_s) if status >= 500:
            pause_s, detail = wanted_s or TROUBLED_PAUSE_S, f"answered {status}"
            if status == 503:
                return Deferred(retry_after_s=pause_s, detail=detail, reason="down")
            return Deferred(retry_after_s=pause_s, detail=detail)
        case Reply(status=status, content=content):
            why = upstream.refusal(status, upstream.error_text(content), src=src)
            return Rejected(error_code=why.error_code, detail=why.detail, elsewhere=why.elsewhere)
    return Deferred(retry_after_s=DOWN_PAUSE_S, detail=outcome.detail, reason="down")


def trouble(outcome: Outcome, *, may_be_missing: bool) -> str:
    """Say why the account cannot be used; empty when it can. Without numbers, texts and secrets.

    ``may_be_missing``: what was asked for need not be there.
    """
    match outcome:
        case Reply(status=401):
            return "answered 401: auth_id or auth_token is wrong"
        case Reply(status=404 | 405 as status) if not may_be_missing:
            return f"answered {status}: base_url or auth_id is wrong"
        case Reply(status=status) if 300 <= status < 400:
            return f"answered {status}: base_url is wrong, redirects are not followed"
        case Reply(status=status) if status >= 500:
            return f"answered {status}"
        case Reply():
            return ""
    return outcome.detail
