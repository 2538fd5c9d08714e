"""Commands on who agreed to be trained on: give, list, forget."""

import getpass
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.registry.affected import Affected

app = typer.Typer(no_args_is_help=True, help="Who agreed to be trained on, and who withdrew.")
forget_app = typer.Typer()
Speaker = Annotated[str | None, typer.Option(help="Id of a speaker, as manifests have it")]
Source = Annotated[str | None, typer.Option(help="Name of a source; with a speaker: only there")]
By = Annotated[str | None, typer.Option("--by", help="Who records it; default: the login name")]


@app.command()
@plain_errors
def add(
    terms: Annotated[str, typer.Argument(help="What was agreed to, such as a form's number")],
    speaker: Speaker = None,
    source: Source = None,
    by: By = None,
) -> None:
    """Record a consent; after a withdrawal it counts again."""
    from moss_speech.catalogue.consents import Whose
    from moss_speech.registry.withdrawing import give

    give(Whose(source, speaker), terms, by or getpass.getuser(), settings().root)


@app.command("list")
@plain_errors
def list_consents(speaker: Speaker = None, as_json: Json = False) -> None:
    """List consents and withdrawals, oldest first."""
    from moss_speech.catalogue.consents import Whose, consents
    from moss_speech.catalogue.database import catalogue

    with catalogue() as session:
        rows = consents(session, speaker)
    for row in rows:
        whose = Whose(row.source, row.speaker)
        facts = {"state": row.state, "source": row.source, "speaker": row.speaker}
        facts |= {"since": f"{row.since:%F}", "by": row.recorded_by, "terms": row.terms}
        plain = f"{row.since:%F}  {row.state:9}  {whose}: {row.terms} (by {row.recorded_by})"
        typer.echo(json.dumps(facts) if as_json else plain)


@forget_app.command()
@plain_errors
def forget(
    speaker: Speaker = None,
    source: Source = None,
    reason: Annotated[str, typer.Option(help="Such as the request's number")] = "asked to",
    by: By = None,
    dry_run: Annotated[bool, typer.Option(help="Only list; record nothing")] = False,
    as_json: Json = False,
) -> None:
    """Record that a speaker or a source withdrew, and list all that holds or heard their speech.

    Cleaning rejects their speech from now on, and no version that heard it is promoted any more.
    """
    from moss_speech.catalogue.consents import Whose
    from moss_speech.registry.affected import affected_by
    from moss_speech.registry.withdrawing import forget as record

    whose, root = Whose(source, speaker), settings().root
    if not dry_run:
        record(whose, reason, by or getpass.getuser(), root)
    found = affected_by(whose, root)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
        return
    typer.echo(f"{whose}: {'nothing is recorded' if dry_run else 'consent is withdrawn'}")
    for line in _lines(found):
        typer.echo(line)


def _lines(found: "Affected") -> list[str]:
    runs = [d for d in found.deployments if d.until is None]
    champion = f"; the champion, {found.champion}, is one of them" if found.champion else ""
    return [
        _line("datasets", [digest[:12] for digest in found.datasets], "make train"),
        _line("versions", [str(h.version) for h in found.versions], f"refused by gates{champion}"),
        _line("deployments", [f"{d.version} at {d.place}" for d in runs], "run now"),
        _line("Bentos", found.bentos, "delete, pack again"),
        _line("stage outputs", found.outputs, "make train; then moss-speech gc"),
        _line("audio files", found.audio, "delete"),
        _line("recorded turns", found.recordings, "delete"),
        _line("added voices", found.voices, "moss-speech voice remove"),
    ]


def _line(what: str, names: list[str], remedy: str, most: int = 5) -> str:
    if not names:
        return f"{what:15} none"
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{what:15} {len(names)}: {', '.join(names[:most])}{more} ({remedy})"
