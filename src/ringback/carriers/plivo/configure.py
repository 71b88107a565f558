"""An upstream account from its settings."""

from pathlib import Path
from urllib.parse import urlsplit

from ringback.carriers import hooks
from ringback.carriers.plivo.client import Client
from ringback.carriers.plivo.connector import UpstreamAccount
from ringback.dialect import upstream
from ringback.egress import trusting
from ringback.model.errors import ConfigInvalid
from ringback.runtime import Clock
from ringback.settings import PlivoSettings


def upstream_account(
    settings: PlivoSettings, *, name: str, public_base_url: str, lease_s: float, clock: Clock
) -> UpstreamAccount:
    """Make the connector; ``lease_s`` is how long a submission may take. Raises ``ConfigInvalid``."""
    for field in ("auth_id", "auth_token"):
        if not getattr(settings, field):
            raise ConfigInvalid(f"carrier {name}: {field} is missing: the account's console shows it")
    if not settings.auth_id.isalnum():
        raise ConfigInvalid(f"carrier {name}: auth_id is not letters and digits alone")
    if not _is_origin(settings.base_url):
        raise ConfigInvalid(f"carrier {name}: base_url must be like https://api.example.com")
    public_url = settings.public_url or public_base_url
    if not _is_origin(public_url):
        raise ConfigInvalid(
            f"carrier {name}: public_url is missing or no URL: set it, or server.public_base_url, to the scheme and "
            "host under which the account's callbacks reach this Ringback"
        )
    # A place, the media and the message may each take that long.
    if 3 * settings.deadline_s >= lease_s:
        raise ConfigInvalid(
            f"carrier {name}: deadline_s ({settings.deadline_s:g}) must be less than a third of "
            f"messaging.submit_lease_s ({lease_s:g}), or messages in hand would be handed over a second time"
        )
    tls = trusting(
        Path(settings.ca_file).expanduser() if settings.ca_file else None, setting=f"carrier {name}, ca_file"
    )
    return UpstreamAccount(
        client=Client(
            url=upstream.account_url(settings.base_url, settings.auth_id),
            authorization=upstream.credentials(settings.auth_id, settings.auth_token),
            deadline_s=settings.deadline_s,
            tls=tls,
            now_us=clock.now_us,
        ),
        callback_url=hooks.status_url(public_url, name),
        log_mode=settings.log,
        concurrency=settings.concurrency,
        deadline_s=settings.deadline_s,
        poll_per_s=settings.poll_per_s,
        clock=clock,
        name=name,
    )


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        return False
