"""A carrier over SMPP from its settings."""

from collections.abc import Callable, Mapping

from ringback.carriers.smpp.connector import SmppConnector
from ringback.carriers.smpp.link import BindType, LinkSettings
from ringback.carriers.smpp.session import Timers
from ringback.carriers.smpp.shape import Shape
from ringback.model.errors import ConfigInvalid
from ringback.runtime import Clock
from ringback.settings import SmppSettings


def smpp_carrier(settings: SmppSettings, *, name: str, clock: Clock, chance: Callable[[], float]) -> SmppConnector:
    """Make the connector. Raises ``ConfigInvalid``."""
    if not settings.host:
        raise ConfigInvalid(f"carrier {name}: host is missing: it says where the carrier's SMSC is")
    for field, most in (("system_id", 15), ("password", 8), ("system_type", 12), ("service_type", 5)):
        if len(getattr(settings, field)) > most:
            raise ConfigInvalid(f"carrier {name}: {field} may have {most} characters at most")
    if not settings.system_id:
        raise ConfigInvalid(f"carrier {name}: system_id is missing: it is the name to bind with")
    kinds: tuple[BindType, ...] = ("transmitter", "receiver") if settings.pairs else ("transceiver",)
    return SmppConnector(
        links=[_link(settings, kind) for _ in range(settings.binds) for kind in kinds],
        shape=Shape(
            default_coding=settings.default_coding,
            concatenation=settings.concatenation,
            service_type=settings.service_type,
        ),
        clock=clock,
        chance=chance,
        submitted_ids=settings.submitted_ids,
        receipted_ids=settings.receipted_ids,
        error_codes=_codes(name, settings.error_codes),
        name=name,
    )


def _link(settings: SmppSettings, kind: BindType) -> LinkSettings:
    return LinkSettings(
        host=settings.host,
        port=settings.port,
        system_id=settings.system_id,
        password=settings.password,
        system_type=settings.system_type,
        bind=kind,
        tls=settings.tls,
        ca_file=settings.ca_file,
        window=settings.window,
        per_s=settings.per_s,
        timers=Timers(response_s=settings.response_s, enquire_link_s=settings.enquire_link_s),
    )


def _codes(name: str, given: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for entry in given:
        theirs, sign, ours = entry.partition("=")
        if not (sign and theirs.strip() and ours.strip().isdigit()):
            raise ConfigInvalid(f"carrier {name}: error_codes: {entry!r} must be like 1=50")
        found[theirs.strip().lstrip("0")] = ours.strip()
    return found
