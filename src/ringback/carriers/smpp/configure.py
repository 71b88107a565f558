"""A carrier over SMPP from its settings."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.coding import Codings
from ringback.carriers.smpp.connector import CODES, TROUBLES, SmppConnector, Statuses
from ringback.carriers.smpp.link import BindType, LinkSettings
from ringback.carriers.smpp.quirks.table import QUIRKS
from ringback.carriers.smpp.receipts import STATES, Reading
from ringback.carriers.smpp.session import Timers
from ringback.carriers.smpp.shape import Numbering, Shape
from ringback.model.errors import ConfigInvalid
from ringback.runtime import Clock
from ringback.settings import SmppSettings

_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
_DEFAULTS: Final = msgspec.structs.asdict(SmppSettings())


def with_quirks(common: SmppSettings, own: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return what applies to a carrier: its own settings, else those of the group, else what its SMSC is known for.

    Lists are added to what is known, and what comes later in them wins. Raises ``ConfigInvalid``.
    """
    group = msgspec.structs.asdict(common)
    chosen = own.get("quirks", common.quirks)
    if chosen and chosen not in QUIRKS:
        raise ConfigInvalid(f"carrier {name}: quirks: {chosen!r} is not known; take one of {', '.join(sorted(QUIRKS))}")
    known: Mapping[str, Any] = QUIRKS[chosen] if chosen else {}
    given = {field: value for field, value in group.items() if value != _DEFAULTS[field]} | dict(own)
    merged: dict[str, Any] = {**_DEFAULTS, **known, **given}
    for field, value in known.items():
        if isinstance(value, tuple) and isinstance(given.get(field), list | tuple):
            merged[field] = (*value, *given[field])
    return merged


def smpp_carrier(settings: SmppSettings, *, name: str, clock: Clock, chance: Callable[[], float]) -> SmppConnector:
    """Make the connector. Raises ``ConfigInvalid``."""
    if not settings.host:
        raise ConfigInvalid(f"carrier {name}: host is missing: it says where the carrier's SMSC is")
    for field, most in (("system_id", 15), ("password", 8), ("system_type", 12), ("service_type", 5)):
        if len(getattr(settings, field)) > most:
            raise ConfigInvalid(f"carrier {name}: {field} may have {most} characters at most")
    if not settings.system_id:
        raise ConfigInvalid(f"carrier {name}: system_id is missing: it is the name to bind with")
    if settings.interface_version == "3.3" and settings.concatenation in {"sar", "payload"}:
        raise ConfigInvalid(
            f"carrier {name}: concatenation {settings.concatenation} needs parameters, which SMPP 3.3 has not: "
            "use udh or udh16"
        )
    kinds: tuple[BindType, ...] = ("transmitter", "receiver") if settings.pairs else ("transceiver",)
    throttles = names.TRY_LATER | _statuses(name, "throttle_statuses", settings.throttle_statuses)
    return SmppConnector(
        links=[_link(settings, kind, throttles) for _ in range(settings.binds) for kind in kinds],
        shape=shape_of(settings),
        clock=clock,
        chance=chance,
        submitted_ids=settings.submitted_ids,
        reading=reading_of(settings, name=name),
        statuses=statuses_of(settings, name=name),
        error_codes=error_codes_of(settings, name=name),
        network_tag=settings.network_parameter,
        name=name,
    )


def shape_of(settings: SmppSettings) -> Shape:
    """Return what messages out look like."""
    return Shape(
        default_coding=settings.default_coding,
        codings=Codings(
            gsm7=settings.gsm_data_coding, latin1=settings.latin1_data_coding, ucs2=settings.ucs2_data_coding
        ),
        latin1=settings.latin1,
        concatenation=settings.concatenation,
        service_type=settings.service_type,
        named=_numbering(settings.name_type),
        short=_numbering(settings.short_code_type),
        numbered=_numbering(settings.number_type),
        dest=_numbering(settings.dest_type),
        short_digits=settings.short_code_digits,
        receipts=settings.receipts_for,
        validity=settings.validity,
    )


def reading_of(settings: SmppSettings, *, name: str) -> Reading:
    """Return how receipts are read. Raises ``ConfigInvalid``."""
    parameter_ids = settings.receipted_parameter_ids
    return Reading(
        mark=settings.receipts_by,
        text_ids=settings.receipted_ids,
        parameter_ids=settings.receipted_ids if parameter_ids == "as text" else parameter_ids,
        states=_states(name, settings.states),
        errors_from=settings.receipt_errors_from,
    )


def statuses_of(settings: SmppSettings, *, name: str) -> Statuses:
    """Return what answers mean. Raises ``ConfigInvalid``."""
    pairs = _pairs(name, "status_codes", settings.status_codes, "0x22=90")
    codes = {status: ours for theirs, ours in pairs for status in _statuses(name, "status_codes", (theirs,))}
    return Statuses(
        codes={**CODES, **codes}, troubles=TROUBLES | _statuses(name, "trouble_statuses", settings.trouble_statuses)
    )


def error_codes_of(settings: SmppSettings, *, name: str) -> Mapping[str, str]:
    """Return codes of callbacks by those of receipts. Raises ``ConfigInvalid``."""
    found = {}
    for theirs, ours in _pairs(name, "error_codes", settings.error_codes, "1=50"):
        if not ours.isdigit():
            raise ConfigInvalid(f"carrier {name}: error_codes: '{theirs}={ours}' must be like 1=50")
        found[theirs.lstrip("0")] = ours
    return found


def _link(settings: SmppSettings, kind: BindType, throttles: frozenset[int]) -> LinkSettings:
    return LinkSettings(
        host=settings.host,
        port=settings.port,
        system_id=settings.system_id,
        password=settings.password,
        system_type=settings.system_type,
        interface_version=_VERSIONS[settings.interface_version],
        bind=kind,
        tls=settings.tls,
        ca_file=settings.ca_file,
        window=settings.window,
        per_s=settings.per_s,
        throttles=throttles,
        lenient_parameters=settings.lenient_parameters,
        timers=Timers(
            response_s=settings.response_s,
            enquire_link_s=settings.enquire_link_s,
            inactivity_s=settings.inactivity_s,
        ),
    )


def _pairs(name: str, field: str, given: Iterable[str], example: str) -> list[tuple[str, str]]:
    found = []
    for entry in given:
        theirs, sign, ours = (part.strip() for part in entry.partition("="))
        if not (sign and theirs and ours):
            raise ConfigInvalid(f"carrier {name}: {field}: {entry!r} must be like {example}")
        found.append((theirs, ours))
    return found


def _states(name: str, given: Iterable[str]) -> dict[str, str]:
    found = {theirs.upper(): ours.upper() for theirs, ours in _pairs(name, "states", given, "BUFFRED=ENROUTE")}
    for ours in found.values():
        if ours not in STATES:
            raise ConfigInvalid(f"carrier {name}: states: {ours} is none of {', '.join(STATES)}")
    return found


def _statuses(name: str, field: str, given: Iterable[str]) -> frozenset[int]:
    try:
        return frozenset(int(each, 0) for each in given)
    except ValueError as error:
        raise ConfigInvalid(f"carrier {name}: {field}: a status must be a number such as 0x58") from error


def _numbering(text: str) -> Numbering:
    ton, _, npi = text.partition("/")
    return Numbering(int(ton), int(npi))
