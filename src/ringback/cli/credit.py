"""``ringback account credit`` and ``ringback account ledger``: what prepaid accounts pay from, and where it went."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import change
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.model import money
from ringback.model.errors import InvalidRequest
from ringback.settings import Settings
from ringback.store import credit as store_credit
from ringback.store import profiles
from ringback.store.credit import Entry
from ringback.store.port import Transaction
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many entries, newest first.")]


def credit(
    auth_id: str,
    amount: Annotated[str, typer.Argument(help="Such as +10.00, or -2.5 to take some back; up to 5 decimals.")],
    *,
    note: Annotated[str | None, typer.Option("--note", help="What it is for; the ledger shows it.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add to an account's credit and print the balance."""
    parsed = money.parse(amount)
    if not parsed:
        raise InvalidRequest(f"{amount!r} is no amount: write it like +10.00, with up to 5 decimals")

    def work(tx: Transaction, now_us: int) -> int:
        return store_credit.add(tx, auth_id.upper(), parsed, entry_id=new_id(now_us), note=note, now_us=now_us)

    told = f"{auth_id.upper()} {money.shown(parsed)}"
    balance = money.shown(change(work, "credit add", told, config, data_dir))
    typer.echo(json.dumps({"auth_id": auth_id.upper(), "credit": balance}) if as_json else f"credit  {balance}")


def ledger(
    auth_id: str, *, limit: Limit = 100, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """List what an account's balance is made of; charges are summed up by hour and by who has sent."""
    settings = settings_from(config=config, data_dir=data_dir)
    balance, found = asyncio.run(_ledger(settings, auth_id.upper(), limit))
    if as_json:
        shown = [
            {
                "time": _time(entry.at_us),
                "kind": entry.kind,
                "amount": money.shown(entry.total),
                "sender": entry.reference if entry.kind == "charge" else None,
                "note": entry.note,
            }
            for entry in found
        ]
        typer.echo(json.dumps({"auth_id": auth_id.upper(), "credit": money.shown(balance), "entries": shown}))
        return
    table = Table("time", "kind", "amount", "sender or note", caption=f"balance {money.shown(balance)}")
    for entry in found:
        what = entry.reference if entry.kind == "charge" else entry.note
        table.add_row(_time(entry.at_us), entry.kind, money.shown(entry.total), what or "")
    Console().print(table)


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat(sep=" ")


async def _ledger(settings: Settings, auth_id: str, limit: int) -> tuple[int, list[Entry]]:
    async with open_backbone(settings) as (store, _):

        def work(tx: Transaction) -> tuple[int, list[Entry]]:
            return profiles.profile(tx, auth_id).balance, store_credit.entries(tx, auth_id, limit=limit)

        return await store.read(work)
