"""Commands on keys of the service: make one, list them, end one."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.catalogue.serving_tables import ApiKey

app = typer.Typer(no_args_is_help=True, help="Keys of the service: who may use it, and how much.")
Count = Annotated[int | None, typer.Option(min=0, help="Default: the setting of like name")]


@app.command()
@plain_errors
def add(
    name: Annotated[str, typer.Argument(help="a-z A-Z 0-9 . _ -; never used again")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it opens, can be repeated; default: everything")
    ] = None,
    sessions: Count = None,
    requests_per_minute: Count = None,
    tokens_per_minute: Count = None,
    expires_days: Annotated[int | None, typer.Option(min=1, help="Default: never")] = None,
) -> None:
    """Make a key and print it, once: only its digest is kept."""
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.keys import SCOPES, Grant, add_key

    usual, days = settings(), expires_days
    grant = Grant(
        scope or SCOPES,
        usual.sessions_per_key if sessions is None else sessions,
        usual.requests_per_minute if requests_per_minute is None else requests_per_minute,
        usual.tokens_per_minute if tokens_per_minute is None else tokens_per_minute,
        None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    with catalogue() as session:
        typer.echo(add_key(session, name, grant))


@app.command("list")
@plain_errors
def list_keys(as_json: Json = False) -> None:
    """List keys with what they open, how much of it, and whether they still do."""
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.keys import all_keys

    with catalogue() as session:
        facts = [_facts(row) for row in all_keys(session)]
    if as_json:
        typer.echo(json.dumps(facts))
    for key in () if as_json else facts:
        typer.echo("  ".join(f"{k} {v}" if k != "name" else str(v) for k, v in key.items()))


def _facts(row: "ApiKey") -> dict[str, Any]:
    from moss_speech.catalogue.keys import is_usable

    usable = is_usable(row, datetime.now(UTC))
    return {
        "name": row.name,
        "id": row.id,
        "state": "in use" if usable else "revoked" if row.revoked_at else "expired",
        "scopes": ",".join(row.scopes),
        "sessions": row.sessions,
        "requests/min": row.requests_per_minute,
        "tokens/min": row.tokens_per_minute,
        "expires": f"{row.expires_at:%F}" if row.expires_at else "never",
    }


@app.command()
@plain_errors
def revoke(name: Annotated[str, typer.Argument(help="The key's name")]) -> None:
    """End a key at once, and every client secret that was issued with it."""
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.keys import revoke_key

    with catalogue() as session:
        typer.echo(f"{revoke_key(session, name).name} is revoked")
