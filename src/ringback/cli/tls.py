"""``ringback tls``: certificates for clients that cannot be told another base URL."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from ringback.cli.certificates import Files, Made, make
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.runtime import SystemClock

app = typer.Typer(help="HTTPS with a certificate of your own.", no_args_is_help=True)

NAMES: Final = ("api.plivo.com", "localhost", "127.0.0.1")
"""What the certificate is for: the host that SDKs have built in, and this machine."""
DAYS: Final = 825
"""Some clients refuse server certificates that hold for longer."""


@app.callback()
def tls() -> None:
    """HTTPS with a certificate of your own."""


@app.command()
def init(
    *,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", help="Where to keep them.  [default: tls in the data directory]"),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", help=f"Host name or address, can be given several times.  [default: {', '.join(NAMES)}]"
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="How long the server certificate holds.")] = DAYS,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a certificate authority, unless there is one, and a server certificate from it; say how to use them."""
    settings = settings_from(config=config, data_dir=data_dir)
    files = Files((directory or settings.store.data_dir / "tls").absolute())
    now = datetime.fromtimestamp(SystemClock().now_us() // 1_000_000, UTC)
    made = make(files, tuple(dict.fromkeys(name or NAMES)), now=now, days=days)
    if as_json:
        typer.echo(json.dumps(_shown(files, made)))
        return
    _tell(files, made)


def _shown(files: Files, made: Made) -> dict[str, object]:
    return {
        "authority": str(files.authority),
        "authority_is_new": made.authority_is_new,
        "authority_until": made.authority_until.isoformat(sep=" "),
        "certificate": str(files.certificate),
        "key": str(files.key),
        "names": made.names,
        "certificate_until": made.certificate_until.isoformat(sep=" "),
    }


def _tell(files: Files, made: Made) -> None:
    kept = "new" if made.authority_is_new else "kept"
    typer.echo(f"authority    {files.authority} ({kept}, until {made.authority_until:%Y-%m-%d})")
    typer.echo(f"certificate  {files.certificate} (until {made.certificate_until:%Y-%m-%d})")
    typer.echo(f"for          {', '.join(made.names)}")
    typer.echo(
        f"""
1. Settings:

   [server]
   tls_certificate = "{files.certificate}"
   tls_key = "{files.key}"
   tls_port = 443

2. Let the machine of the client take the name for Ringback's, in /etc/hosts for instance:

   127.0.0.1 {made.names[0]}

3. Let the client trust {files.authority}:

   curl             --cacert {files.authority}
   Python           client.session.verify = client.multipart_session.verify = "{files.authority}"
   Node.js          NODE_EXTRA_CA_CERTS={files.authority}
   Go, Ruby, .NET   SSL_CERT_FILE={files.authority}
   all of Debian    copy it to /usr/local/share/ca-certificates/ringback.crt, then: update-ca-certificates

The authority can sign for the names above only. Keep {files.authority_key} to yourself all the same."""
    )
