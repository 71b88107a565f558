"""A source's provider as somebody to ask and to tell: where its API is, and the credentials for it."""

import msgspec

from ringback.model.errors import ConfigInvalid
from ringback.model.retry import RetryPlan
from ringback.receiver.sources.provider_api import API_URL
from ringback.settings import SourceSettings


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """How the provider of a source is reached."""

    source: str
    base_url: str
    auth_id: str
    token: str
    per_s: float
    plan: RetryPlan


def has_api(source: SourceSettings) -> bool:
    """Tell whether enough is known of a source to ask its provider something."""
    return source.provider == "plivo" and bool(source.auth_id) and bool(source.api_token or source.tokens)


def upstream_of(name: str, source: SourceSettings) -> Upstream:
    """Return how a source's provider is reached. Raises ``ConfigInvalid`` where it cannot be."""
    if source.provider != "plivo":
        raise ConfigInvalid(
            f"sources.{name} is of the provider {source.provider}: conversions and lists are there for plivo only"
        )
    token = source.api_token or next(iter(source.tokens), "")
    if not source.auth_id or not token:
        raise ConfigInvalid(
            f"sources.{name} has no credentials for the provider's API: set auth_id, and tokens or api_token"
        )
    base_url = (source.api_url or API_URL).rstrip("/")
    if not base_url.lower().startswith(("http://", "https://")):
        raise ConfigInvalid(f"settings: sources.{name}.api_url must be an http or https URL")
    return Upstream(
        source=name,
        base_url=base_url,
        auth_id=source.auth_id,
        token=token,
        per_s=source.api_per_s,
        plan=RetryPlan(source.api_retry_delays_s),
    )
