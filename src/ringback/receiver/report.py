"""Reporting conversions from a program of your own: one call, which ends when Ringback has it on disk.

Ringback tells the provider, and tries again for as long as that takes; so the call is short, and nothing is lost when
the provider is away. Needs neither a database nor a server of its own, and blocks: in asynchronous code,
``await asyncio.to_thread(reporter.report, message_id)``.
"""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

Value = Literal["CONVERTED", "NOT_CONVERTED", "CONVERTED_WITH_OTHERS"]
Taken = Literal["new", "again", "duplicate"]

PAUSES_S: Final = (0.5, 1.0)
"""Before the second and the third try, when Ringback does not answer or says 503."""


class NotReported(Exception):
    """Ringback has not taken the conversion; the text says why."""


class _Told(msgspec.Struct):
    taken: Taken


class _Answer(msgspec.Struct):
    conversions: list[_Told]


class _Refusal(msgspec.Struct):
    error: str = ""


class Reporter(msgspec.Struct, frozen=True, kw_only=True):
    """Where Ringback is, and the credentials that fetch events from it."""

    url: str
    """Scheme, host and port of Ringback."""
    auth_id: str
    token: str
    source: str | None = None
    """The source that the messages are of; may be left out where the account has one."""
    timeout_s: float = 10.0

    def report(
        self,
        message_id: str,
        value: Value = "CONVERTED",
        *,
        at: datetime | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> Taken:
        """Have a conversion reported; ``at`` is when it was, now by default. Returns ``duplicate`` if it was known.

        Raises ``NotReported``: at once for what Ringback refuses, after three tries when it does not answer. A
        ``datetime`` without a time zone is UTC.
        """
        said = {"message_uuid": message_id, "value": value}
        # Told even for now: a try may come late.
        when = datetime.now(UTC) if at is None else at if at.tzinfo else at.replace(tzinfo=UTC)
        said["timestamp"] = when.isoformat()
        if self.source is not None:
            said["source"] = self.source
        body = msgspec.json.encode(said)
        trouble = ""
        for pause_s in (0.0, *PAUSES_S):
            if pause_s:
                pause(pause_s)
            try:
                status, answer = self._post(body)
            except (OSError, HTTPException) as error:
                trouble = str(error) or type(error).__name__
                continue
            if status == 202:
                return msgspec.json.decode(answer, type=_Answer).conversions[0].taken
            trouble = f"answered {status}: {_why(answer)}"
            if status < 500 and status != 429:
                break
        raise NotReported(f"Ringback at {self.url} has not taken the conversion: {trouble}")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        place = urlsplit(self.url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        connection = kind(place.netloc.rpartition("@")[2], timeout=self.timeout_s)
        credentials = base64.b64encode(f"{self.auth_id}:{self.token}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        try:
            connection.request("POST", place.path.rstrip("/") + "/conversions", body, headers)
            response = connection.getresponse()
            return response.status, response.read(1_000_000)
        finally:
            connection.close()


def _why(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "nothing that can be read"
