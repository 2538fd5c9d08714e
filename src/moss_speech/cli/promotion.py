"""Commands on the champion: promote, roll back, tell the history, ask a version anew."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.registry.promotion import Decision

app = typer.Typer()
By = Annotated[
    str | None,
    typer.Option("--by", help="Who decides it; kept. Default: the login name, or the alias"),
]
Why = Annotated[str, typer.Option("--why", help="The reason, in words; kept in the history")]
Version = Annotated[int, typer.Argument(min=1, help="A version of the registry")]


@app.command()
@plain_errors
def promote(
    version: Annotated[
        int | None, typer.Argument(min=1, help="Default: the one with the alias approved")
    ] = None,
    by: By = None,
    why: Why = "",
) -> None:
    """Make a registered version the champion if its gates hold; needs no server."""
    from moss_speech.registry import promotion

    gates = promotion.gates_of_root(settings().root)
    chosen, who = promotion.chosen_version(version, by)
    _tell(promotion.promote(chosen, who, gates, why))


@app.command()
@plain_errors
def rollback(
    by: Annotated[str, typer.Option("--by", help="Who decides it; kept in the history")],
    why: Why = "",
) -> None:
    """Make the previous champion the champion again; needs no server."""
    from moss_speech.registry import promotion

    _tell(promotion.rollback(by, why))


@app.command()
@plain_errors
def champions(as_json: Json = False) -> None:
    """Every decision on the champion, newest first: when, who, why, and what the gates said."""
    from moss_speech.registry.history import champions

    found = champions()
    if as_json:
        typer.echo(json.dumps([told.to_json() for told in found]))
    elif not found:
        typer.echo("no champion yet: `make train` trains and promotes one")
    for told in found if not as_json else ():
        typer.echo(told.line())


@app.command()
@plain_errors
def judge(version: Version) -> None:
    """Ask a registered version the test data of this project root, and file its figures.

    A candidate is compared with the champion on equal items: after the test data changed, the
    champion is asked anew.
    """
    from moss_speech.evaluation.report import evaluate_bundle
    from moss_speech.registry.versions import record_judged, registered_bundle

    folder = settings().state / "judged" / str(version)
    metrics = evaluate_bundle(settings().root, registered_bundle(version), folder)
    n_items = record_judged(version, metrics, folder)
    typer.echo(f"version {version}: {n_items} items on record, report {folder / 'report.html'}")


@app.command()
@plain_errors
def reproduce(
    version: Version,
    from_stage: Annotated[
        str | None, typer.Option("--from", help="Take what is upstream of a stage from the cache")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Say what can be said without training")
    ] = False,
    keep: Annotated[bool, typer.Option(help="Leave the worktree in the state folder")] = False,
) -> None:
    """Make a version again from its code, params and data, or say what differs."""
    from moss_speech.registry.reproduction import Wanted
    from moss_speech.registry.reproduction import reproduce as make_again

    same = make_again(Wanted(version, from_stage, check_only, keep), lambda f: typer.echo(str(f)))
    end = "nothing differs" if check_only else "made again to the same digest"
    typer.echo(f"version {version}: {end if same else 'differs, see above'}")
    if not same:
        raise typer.Exit(1)


def _tell(decision: "Decision") -> None:
    typer.echo(str(decision))
    if decision.result != "committed":
        raise typer.Exit(1)
