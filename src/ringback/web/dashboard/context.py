"""What the dashboard is given."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.analytics.away import NoEngine
from ringback.analytics.engine import Engine
from ringback.analytics.questions import Questions
from ringback.dialect.media import MediaUrls
from ringback.model.ids import NewId
from ringback.receiver.explained import Explainer
from ringback.runtime import Clock
from ringback.settings import BinsSettings, DashboardSettings, DeliverySettings, SourceSettings
from ringback.settings_analytics import AlertsSettings, AnalyticsSettings
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.peers import Peers


def new_secret() -> str:
    """Make an unguessable secret for a link or a session."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, kw_only=True)
class DashboardContext:
    """Everything that the pages read from, and how they pace themselves."""

    store: Store
    clock: Clock
    wakeups: Wakeups
    """Topic ``events`` is signalled after every commit that appends events, ``replays`` when one has begun."""
    settings: DashboardSettings
    new_id: NewId
    secure_cookies: bool
    """Whether browsers reach the dashboard over TLS only."""
    media_urls: MediaUrls
    explainer: Explainer
    """Says why the signature of a received request fits or does not."""
    stopping: asyncio.Event
    """Set before the server shuts down: live streams, which never end by themselves, then do."""
    bins: BinsSettings = field(default_factory=BinsSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    """Where captures may be sent on to, and the ladder that their times are compared with."""
    engine: Engine = field(default_factory=NoEngine)
    """Answers what the analytics pages ask."""
    analytics: AnalyticsSettings = field(default_factory=AnalyticsSettings)
    questions: Questions | None = None
    """What the engine is asked, if programs ask the same: an answer that they have had is kept for the pages."""
    peers: Peers = field(default_factory=lambda: Peers(()))
    """Names the clients of requests."""
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    """What is received from where: people of an account see what its own sources have sent."""
    alerts: AlertsSettings = field(default_factory=AlertsSettings)
    """Where alerts are sent."""
    new_secret: Callable[[], str] = new_secret
    heartbeat_s: float = 15.0
    """The longest silence on a live stream."""
    frame_interval_s: float = 0.25
    """The shortest time between two frames of a live stream."""
    capture_interval_s: float = 0.05
    """The same for captures: whoever watches a bin has just sent something, and waits for it."""
