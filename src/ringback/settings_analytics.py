"""Settings of the delivery analytics and of the alerts that come from them."""

from pathlib import Path
from typing import Annotated

import msgspec

from ringback.settings_kinds import Count, Group, Seconds


class AnalyticsSettings(Group, frozen=True, kw_only=True):
    """Delivery analytics: a DuckDB file that is filled from the event log, and rebuilt from it when it is missing."""

    dir: Path | None = None
    """Directory of the file and of the days that are sealed as Parquet, ``analytics`` in the data directory by
    default."""
    interval_s: Seconds = 1.0
    """How often new events are taken in."""
    batch: Count = 5_000
    """How many events are taken in at a time, at most."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    """Threads that answer questions."""
    memory_mb: Annotated[int, msgspec.Meta(ge=128)] = 640
    """Memory for data and questions; what does not fit is put on disk meanwhile."""
    no_receipt_hours: Annotated[int, msgspec.Meta(ge=1, le=720)] = 24
    """A message that was sent so long ago and has no receipt counts as one without receipt."""
    sent_counts_as_delivered: tuple[str, ...] = ()
    """Countries, such as ``US,CA``, whose carriers report no delivery: there a message without receipt counts as
    delivered."""
    query_timeout_s: Seconds = 10.0
    """A question of your own that has no answer by then is ended."""
    query_rows: Count = 10_000
    """The most rows that it gives."""


class AlertsSettings(Group, frozen=True, kw_only=True):
    """Alerts when deliveries are not as they were."""

    url: str = ""
    """Where alerts are sent, as callbacks of the account below; without one they are shown only."""
    account: str = ""
    """Auth id of the account whose token signs them."""
    quiet_minutes: Annotated[int, msgspec.Meta(ge=0, le=10_080)] = 60
    """For so long after one has ended, the same alert is not raised again."""
    min_messages: Count = 100
    """With fewer messages in the last hour there is no alert."""
    min_failures: Count = 20
    """Neither is there with fewer that failed, have no receipt, took long or did not convert."""
    settle_minutes: Annotated[int, msgspec.Meta(ge=1, le=1_440)] = 10
    """A message counts when it was queued so long ago, with what was known of it by then: receipts take their time."""
    resolve_after: Count = 5
    """An alert is over after so many looks in a row, one a minute, that do not find it any more."""
