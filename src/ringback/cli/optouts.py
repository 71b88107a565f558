"""``ringback optouts``: who wants no messages from which number, and what keywords are answered with."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import actor
from ringback.cli.callbacks import shown_time, with_store
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.dialect.keywords import HELP, OPT_IN, OPT_OUT
from ringback.model import numbers, segments
from ringback.model.errors import InvalidRequest, NotFound
from ringback.runtime import SystemClock
from ringback.store import accounts, audit, optouts
from ringback.store.optouts import OptOut, Said
from ringback.store.port import Store, Transaction

app = typer.Typer(help="Recipients who want no messages from a number.", no_args_is_help=True)

Number = Annotated[str, typer.Option("--number", help="Our number, the sender.", show_default=False)]
Recipient = Annotated[str, typer.Option("--recipient", help="The number that gets none.", show_default=False)]
SomeNumber = Annotated[str | None, typer.Option("--number", help="Our number, the sender.", show_default=False)]
SomeRecipient = Annotated[
    str | None, typer.Option("--recipient", help="The number that gets none.", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]
DEFAULT: Final = "default"


@app.command("list")
def list_opt_outs(
    *,
    number: SomeNumber = None,
    recipient: SomeRecipient = None,
    limit: Limit = 100,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List who has opted out; with --number and --recipient also what was said, oldest first."""
    ours, theirs = number and _digits(number), recipient and _digits(recipient)

    async def work(store: Store, _: SystemClock) -> tuple[list[OptOut], list[Said]]:
        def read(tx: Transaction) -> tuple[list[OptOut], list[Said]]:
            found = optouts.page(tx, number=ours, recipient=theirs, limit=limit)
            return found, optouts.history(tx, ours, theirs) if ours and theirs else []

        return await store.read(read)

    found, said = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        shown: dict[str, Any] = {"opt_outs": [_shown(each) for each in found]}
        if ours and theirs:
            shown["history"] = [_shown_said(each) for each in said]
        typer.echo(json.dumps(shown))
        return
    table = Table("recipient", "number", "since (UTC)", "account")
    for each in found:
        table.add_row(each.recipient, each.number, shown_time(each.since_us), each.account_id or "")
    Console().print(table)
    if said:
        table = Table("at (UTC)", "said", "by", "message", "answer")
        for entry in said:
            table.add_row(
                shown_time(entry.at_us),
                entry.intent,
                entry.said_by,
                entry.message_uuid or "",
                entry.confirmation_uuid or "",
            )
        Console().print(table)


@app.command()
def add(
    *, number: Number, recipient: Recipient, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Let a recipient get no messages from a number any more; nobody is told."""
    _note(OPT_OUT, number, recipient, as_json=as_json, config=config, data_dir=data_dir)


@app.command()
def remove(
    *, number: Number, recipient: Recipient, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Let a recipient get messages from a number again; nobody is told."""
    _note(OPT_IN, number, recipient, as_json=as_json, config=config, data_dir=data_dir)


@app.command()
def texts(
    account: Annotated[str, typer.Argument(help="Auth id.")],
    *,
    optout: Annotated[str | None, typer.Option(help="Answer to STOP; empty for none.", show_default=False)] = None,
    optin: Annotated[str | None, typer.Option(help="Answer to START; empty for none.", show_default=False)] = None,
    help_text: Annotated[
        str | None, typer.Option("--help-text", help="Answer to HELP; empty for none.", show_default=False)
    ] = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Show or set what an account's numbers answer to keywords; the text 'default' goes back to the settings."""
    given = {OPT_OUT: optout, OPT_IN: optin, HELP: help_text}
    changes = {intent: None if text == DEFAULT else text for intent, text in given.items() if text is not None}
    for text in changes.values():
        if text and (complaint := segments.too_long(segments.segment(text, smart=False))):
            raise InvalidRequest(complaint)
    auth_id = account.upper()

    async def work(store: Store, clock: SystemClock) -> dict[str, str]:
        now_us = clock.now_us()

        def write(tx: Transaction) -> dict[str, str]:
            if accounts.find(tx, auth_id, now_us) is None:
                raise NotFound(f"there is no account {auth_id}: ringback account list shows them")
            if changes:
                optouts.set_texts(tx, auth_id, changes)
                audit.note(tx, actor(), "optout texts", auth_id, now_us=now_us)
            return optouts.texts(tx, auth_id)

        return await store.write(write)

    own = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps({"auth_id": auth_id, **{intent: own.get(intent) for intent in given}}))
        return
    for intent in given:
        typer.echo(f"{intent:7} {'as the settings say' if intent not in own else own[intent] or '(no answer)'}")


def _note(intent: str, number: str, recipient: str, *, as_json: bool, config: ConfigFile, data_dir: DataDir) -> None:
    ours, theirs = _digits(number), _digits(recipient)

    async def work(store: Store, clock: SystemClock) -> bool:
        said = Said(
            number=ours, recipient=theirs, account_id=None, intent=intent, said_by="operator", at_us=clock.now_us()
        )

        def write(tx: Transaction) -> bool:
            optouts.in_turn(tx, [(ours, theirs)])
            audit.note(tx, actor(), "optout add" if intent == OPT_OUT else "optout remove", now_us=said.at_us)
            return optouts.note(tx, said)

        return await store.write(write)

    changed = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        typer.echo(
            json.dumps({"number": ours, "recipient": theirs, "opted_out": intent == OPT_OUT, "changed": changed})
        )
        return
    stands = "gets no messages" if intent == OPT_OUT else "gets messages"
    typer.echo(f"{theirs} {stands} from {ours}{'' if changed else ', as before'}", err=True)


def _digits(raw: str) -> str:
    found = numbers.sender(raw)
    if found is None:
        raise InvalidRequest(f"{raw[:64]} is not a valid phone number")
    return found


def _shown(each: OptOut) -> dict[str, Any]:
    return {
        "recipient": each.recipient,
        "number": each.number,
        "since": shown_time(each.since_us),
        "account_id": each.account_id,
    }


def _shown_said(each: Said) -> dict[str, Any]:
    return {
        "at": shown_time(each.at_us),
        "intent": each.intent,
        "said_by": each.said_by,
        "message_uuid": each.message_uuid,
        "confirmation_uuid": each.confirmation_uuid,
    }
