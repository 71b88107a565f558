"""``ringback numbers``: the inventory that accounts rent from."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.model import numbers as digits
from ringback.model.errors import ConfigInvalid, InvalidRequest, NotFound
from ringback.model.inventory import SERVICES, SHORTCODE, TYPES, Number, new_number
from ringback.store import accounts, numbers
from ringback.store.port import Transaction

MAX_AT_ONCE: Final = 100_000
CARRIER: Final = "Ringback"
COLUMNS: Final = (
    "number", "country", "type", "services", "region", "city", "rate_center", "lata", "carrier", "setup_rate",
    "monthly_rate", "sms_rate", "mms_rate", "voice_rate", "account",
)  # fmt: skip
RATES: Final = tuple(name for name in COLUMNS if name.endswith("_rate"))

_RATE: Final = re.compile(r"\d{1,6}(\.\d{1,5})?", re.ASCII)

app = typer.Typer(help="Numbers that accounts rent and have.", no_args_is_help=True)

Country = Annotated[str, typer.Option("--country", help="ISO code, such as US.  [default: as the number says]")]
Kind = Annotated[str, typer.Option("--type", help=f"{', '.join(TYPES)} or {SHORTCODE}.  [default: as the number says]")]
Services = Annotated[str, typer.Option("--services", help="Some of voice, sms and mms, with commas between.")]
Owner = Annotated[str, typer.Option("--account", help="Auth id of who has them; without it they are for rent.")]


@app.command("add")
def add_numbers(
    given: Annotated[list[str], typer.Argument(metavar="NUMBER...", help="Numbers, or ranges such as FIRST-LAST.")],
    *,
    country: Country = "",
    kind: Kind = "",
    services: Services = "sms",
    region: Annotated[str, typer.Option("--region")] = "",
    city: Annotated[str, typer.Option("--city")] = "",
    monthly_rate: Annotated[str, typer.Option("--monthly-rate", help="What renting costs, such as 0.80.")] = "",
    account: Owner = "",
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Add numbers to the inventory; those that are there already stay as they are."""
    row = {
        "country": country,
        "type": kind,
        "services": services,
        "region": region,
        "city": city,
        "monthly_rate": monthly_rate,
        "account": account,
    }
    _add([entry for each in given for entry in entries({**row, "number": each})], config, data_dir, as_json=as_json)


@app.command("import")
def import_numbers(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A first line with names of columns, then numbers.")],
    *,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Add the numbers of a CSV file; only the column number must be there. Nothing is added when a line is wrong."""
    _add(list(read_csv(file)), config, data_dir, as_json=as_json)


@app.command("list")
def list_numbers(
    *,
    country: Annotated[str | None, typer.Option("--country", help="ISO code.", show_default=False)] = None,
    account: Annotated[str | None, typer.Option("--account", help="Auth id.", show_default=False)] = None,
    prefix: Annotated[str | None, typer.Option("--prefix", help="First digits.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_AT_ONCE, help="At most so many.")] = 1000,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List numbers and who has them; with --json one object a line."""
    wanted = numbers.Filter(country=country and country.upper(), account_id=account and account.upper(), prefix=prefix)
    total, found = write(lambda tx, _: numbers.page(tx, None, wanted, limit=limit, offset=0), config, data_dir)
    if as_json:
        for number in found:
            typer.echo(json.dumps(_shown(number)))
        return
    table = Table(Column("number", no_wrap=True), "country", "type", "services", "account", "application", "powerpack")
    for number in found:
        shown = _shown(number)
        cells = ("number", "country", "type", "services", "account", "app_id", "powerpack_uuid")
        table.add_row(*(str(shown[cell] or "") for cell in cells))
    Console().print(table)
    if total > len(found):
        typer.echo(f"{total - len(found)} more: --limit", err=True)


@app.command("remove")
def remove_number(number: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Take a number that nobody has out of the inventory."""
    bare = digits.digits(number) or number
    change(lambda tx, _: numbers.remove(tx, bare), "number remove", "1 number", config, data_dir)
    typer.echo(f"{bare} is removed", err=True)


def read_csv(file: Path) -> Iterator[tuple[Number, str]]:
    """Read numbers, each with who has it. Raises ``ConfigInvalid``, which names the line."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.DictReader(opened, skipinitialspace=True)
            unknown = sorted(set(rows.fieldnames or ()) - set(COLUMNS))
            if unknown or "number" not in (rows.fieldnames or ()):
                complaint = f"column {unknown[0]} is not known" if unknown else "there is no column number"
                raise ConfigInvalid(f"{file}: {complaint}; there are {', '.join(COLUMNS)}")
            for row in rows:
                try:
                    yield from entries({name: (row[name] or "").strip() for name in rows.fieldnames or ()})
                except (ConfigInvalid, InvalidRequest) as error:
                    raise ConfigInvalid(f"{file}, line {rows.line_num}: {error}") from error
    except OSError as error:
        raise ConfigInvalid(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigInvalid(f"{file} is not a CSV file in UTF-8: {error}") from error


def entries(row: Mapping[str, str]) -> Iterator[tuple[Number, str]]:
    """Return the numbers that a row names, each with who has it. Raises ``ConfigInvalid`` or ``InvalidRequest``."""
    services = [word for word in re.split(r"[\s,;]+", row.get("services", "sms").lower()) if word]
    type_, lata = row.get("type", "").lower(), row.get("lata", "")
    if unknown := sorted(set(services) - set(SERVICES)):
        raise ConfigInvalid(f"{unknown[0]} is no service; there are {', '.join(SERVICES)}")
    if type_ not in {"", SHORTCODE, *TYPES}:
        raise ConfigInvalid(f"{type_} is no type of number; there are {', '.join((*TYPES, SHORTCODE))}")
    if lata and not (lata.isascii() and lata.isdigit() and len(lata) <= 5):
        raise ConfigInvalid(f"lata {lata} is no whole number")
    rates = {name: _rate(name, row[name]) for name in RATES if row.get(name)}
    texts = {name: row.get(name, "") for name in ("region", "city", "rate_center")}
    carrier = row.get("carrier") or CARRIER
    for number in expanded(row["number"]):
        made = new_number(
            number,
            country=row.get("country", ""),
            type_=type_,
            services=services,
            carrier=carrier,
            lata=int(lata) if lata else None,
            **texts,
            **rates,
        )
        yield made, row.get("account", "").upper()


def expanded(given: str) -> Iterator[str]:
    """Return a number, or the numbers of a range ``FIRST-LAST``. Raises ``ConfigInvalid``."""
    first, dash, last = given.partition("-")
    begin, end = digits.digits(first), digits.digits(last if dash else first)
    if begin is None or end is None or len(begin) != len(end) or int(end) < int(begin):
        raise ConfigInvalid(f"{given} is neither a number nor a range FIRST-LAST of numbers of one length")
    if int(end) - int(begin) >= MAX_AT_ONCE:
        raise ConfigInvalid(f"{given} is a range of more than {MAX_AT_ONCE} numbers: split it up")
    return (str(number) for number in range(int(begin), int(end) + 1))


def _rate(name: str, given: str) -> str:
    if _RATE.fullmatch(given) is None:
        raise ConfigInvalid(f"{name} {given} is not an amount such as 0.80 with at most 5 decimals")
    whole, _, fraction = given.partition(".")
    return f"{whole}.{fraction.ljust(5, '0')}"


def _add(given: list[tuple[Number, str]], config: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    if len(given) > MAX_AT_ONCE:
        raise ConfigInvalid(f"these are {len(given)} numbers; at most {MAX_AT_ONCE} at a time, split them up")
    wanted = {number.number: (number, account) for number, account in given}

    def work(tx: Transaction, now_us: int) -> list[str]:
        for account in {account for _, account in wanted.values() if account}:
            found = accounts.find(tx, account, now_us)
            if found is None or found.parent_id is not None:
                raise NotFound(f"there is no main account {account}: ringback account list shows them")
        new = [
            msgspec.structs.replace(number, account_id=account, added_at_us=now_us) if account else number
            for number, account in wanted.values()
        ]
        return numbers.add(tx, new)

    known = change(work, "number add", f"{len(wanted)} number{'' if len(wanted) == 1 else 's'}", config, data_dir)
    if as_json:
        typer.echo(json.dumps({"added": len(wanted) - len(known), "already_there": known}))
        return
    there = f"; {len(known)} were there already: {', '.join(known[:5])}{' ...' if len(known) > 5 else ''}"
    typer.echo(f"{len(wanted) - len(known)} numbers added{there if known else ''}", err=True)


def _shown(number: Number) -> dict[str, Any]:
    return {
        "number": number.number,
        "country": number.country,
        "type": number.type,
        "services": ",".join(service for service in SERVICES if getattr(number, f"{service}_enabled")),
        "region": number.region,
        "city": number.city,
        "carrier": number.carrier,
        "monthly_rate": number.monthly_rate,
        "account": number.account_id,
        "subaccount": number.subaccount_id,
        "app_id": number.app_id,
        "powerpack_uuid": number.powerpack_uuid,
    }
