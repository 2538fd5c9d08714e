"""Command that prints what a corpus holds and what models were trained on."""

import json
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

app = typer.Typer()


@app.command()
@plain_errors
def composition(
    stage: Annotated[str | None, typer.Option(help="Only this training stage's packs")] = None,
    as_json: Json = False,
) -> None:
    """Print the composition of data/packs: tokens, hours, voices by kind, language and source."""
    from moss_speech.corpus.packing.composition import markdown, read_composition

    content = read_composition(settings().root / "data" / "packs")
    known = dict.fromkeys(row["stage"] for row in content["packs"])
    if stage is not None and stage not in known:
        raise ValueError(f"no packs of stage {stage!r}; there are those of {', '.join(known)}")
    if stage is not None:
        content["packs"] = [row for row in content["packs"] if row["stage"] == stage]
    typer.echo(json.dumps(content) if as_json else markdown(content), nl=as_json)
