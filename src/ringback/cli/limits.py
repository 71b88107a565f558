"""``ringback account limits`` and ``ringback account geo``: what an account may do, and where it may send to."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import phonenumbers
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import actor
from ringback.cli.callbacks import with_store
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.dialect import send
from ringback.dialect.callback_urls import canonical_callback_url
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.runtime import SystemClock
from ringback.settings import LimitsSettings
from ringback.store import accounts, audit, limits
from ringback.store.limits import ALL, GEO, RATES
from ringback.store.port import Store, Transaction

MAX_RATE = 10_000
DEFAULT = "default"

Rate = Annotated[str | None, typer.Option(help="A number, 0 for no limit, or default.", show_default=False)]
Countries = Annotated[str | None, typer.Option(help="Such as US,CA; empty for no such list.", show_default=False)]


def set_limits(
    auth_id: str,
    *,
    requests_per_5_s: Rate = None,
    lists_per_minute: Rate = None,
    concurrent_requests: Rate = None,
    messages_per_s: Rate = None,
    mms_per_s: Rate = None,
    source_messages_per_s: Rate = None,
    source_mms_per_s: Rate = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show an account's limits, and set those that are given; they hold within 2 s."""
    given = {
        "requests_per_5_s": requests_per_5_s,
        "lists_per_minute": lists_per_minute,
        "concurrent_requests": concurrent_requests,
        "messages_per_s": messages_per_s,
        "mms_per_s": mms_per_s,
        "source_messages_per_s": source_messages_per_s,
        "source_mms_per_s": source_mms_per_s,
    }
    changes = {name: _rate(name, text) for name, text in given.items() if text is not None}
    account_id = auth_id.upper()
    defaults = settings_from(config=config, data_dir=data_dir).limits
    shown = with_store(_work(account_id, changes, defaults), config=config, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps({"auth_id": account_id, **{name: value for name, (value, _) in shown.items()}}))
        return
    table = Table("limit", "value", "from")
    for name, (value, source) in shown.items():
        table.add_row(name, f"{value:g}" if value else "none", source)
    Console().print(table)


def set_geo(
    auth_id: str,
    *,
    allow: Countries = None,
    block: Countries = None,
    threshold: Annotated[
        str | None,
        typer.Option(help="Messages an hour, such as US=5000,*=100; empty for none.", show_default=False),
    ] = None,
    alert_url: Annotated[
        str | None, typer.Option(help="Where a passed threshold is told; empty for nowhere.", show_default=False)
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show where an account may send to, and change what is given; "all" stands for every account."""
    account_id = ALL if auth_id.lower() == ALL else auth_id.upper()
    changes: dict[str, Any] = {}
    if allow is not None:
        changes["countries_allowed"] = _countries("--allow", allow)
    if block is not None:
        changes["countries_blocked"] = _countries("--block", block)
    if threshold is not None:
        changes["thresholds"] = limits.thresholds_text(_thresholds(threshold))
    if alert_url is not None:
        changes["alert_url"] = _url(alert_url)

    async def work(store: Store, clock: SystemClock) -> dict[str, Any]:
        now_us = clock.now_us()

        def change(tx: Transaction) -> dict[str, Any]:
            if changes:
                limits.configure(tx, account_id, changes)
                audit.note(tx, actor(), "geo set", account_id, now_us=now_us)
            return limits.own(tx, account_id)

        return await store.write(change)

    row = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps(_shown_geo(row)))
        return
    table = Table("countries", "value")
    for name, value in _shown_geo(row).items():
        table.add_row(name, "none" if value is None else json.dumps(value) if isinstance(value, dict) else str(value))
    Console().print(table)


def _work(account_id: str, changes: Mapping[str, Any], defaults: LimitsSettings) -> Any:
    async def work(store: Store, clock: SystemClock) -> dict[str, tuple[float, str]]:
        now_us = clock.now_us()

        def change(tx: Transaction) -> dict[str, tuple[float, str]]:
            if changes:
                limits.configure(tx, account_id, changes)
                audit.note(tx, actor(), "limits set", account_id, now_us=now_us)
            own = limits.own(tx, account_id)
            account = accounts.find(tx, account_id, now_us)
            main_id = (account.parent_id if account else None) or account_id
            holding = limits.effective(tx, account_id, main_id, defaults)
            main = own if main_id == account_id else limits.own(tx, main_id)
            return {name: _with_source(name, holding, own, main) for name in RATES}

        return await store.write(change)

    return work


def _with_source(
    name: str, holding: limits.Limits, own: Mapping[str, Any], main: Mapping[str, Any]
) -> tuple[float, str]:
    limit = getattr(holding, name)
    source = "the account" if own[name] is not None else "its main account" if main[name] is not None else "settings"
    return limit.value if limit else 0, source


def _rate(name: str, text: str) -> float | int | None:
    flag = f"--{name.replace('_', '-')}"
    if text == DEFAULT:
        return None
    whole = not name.endswith("per_s")
    if re.fullmatch(r"[0-9]{1,6}" if whole else r"[0-9]{1,6}(\.[0-9]{1,6})?", text, re.ASCII) is None:
        raise ConfigInvalid(f"{flag} must be a {'whole ' if whole else ''}number, 0 for no limit, or {DEFAULT}")
    value = int(text) if whole else float(text)
    if not whole and value > MAX_RATE:
        raise ConfigInvalid(f"{flag} must be at most {MAX_RATE}")
    return value


def _countries(flag: str, text: str) -> str | None:
    codes = [part.strip().upper() for part in text.split(",") if part.strip()]
    for code in codes:
        _known_country(flag, code)
    return ",".join(sorted(set(codes))) or None


def _known_country(flag: str, code: str) -> None:
    # ZZ: numbers of no country, such as those of satellites.
    if code not in phonenumbers.SUPPORTED_REGIONS and code != "ZZ":
        raise ConfigInvalid(f"{flag} names {code[:8]!r}, which is no country: use two letters such as US")


def _thresholds(text: str) -> dict[str, int]:
    found = {}
    for part in text.split(","):
        if not part.strip():
            continue
        country, _, count = part.strip().upper().partition("=")
        if country != "*":
            _known_country("--threshold", country)
        if re.fullmatch(r"[0-9]{1,9}", count, re.ASCII) is None:
            raise ConfigInvalid("--threshold must be messages an hour by country, such as US=5000,*=100")
        found[country] = int(count)
    return found


def _url(text: str) -> str | None:
    try:
        url = send.url_of({"url": text})
    except InvalidRequest as error:
        raise ConfigInvalid(f"--alert-url: {error}") from error
    return canonical_callback_url(url) if url else None


def _shown_geo(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in GEO}
    shown["thresholds"] = json.loads(row["thresholds"]) if row["thresholds"] else None
    return {"auth_id": row["account_id"], **shown}
