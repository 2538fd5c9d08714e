"""Command `upgrade`: a bundle of an older format, made new."""

from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors

app = typer.Typer()


@app.command()
@plain_errors
def upgrade(
    folder: Annotated[Path, typer.Argument(help="A bundle of an older format")],
    out: Annotated[Path, typer.Argument(help="A new folder")],
) -> None:
    """Write a bundle of today's format of an older one, which stays as it is."""
    from moss_speech.card import FORMAT_VERSION
    from moss_speech.upgrades import upgrade_bundle

    version = upgrade_bundle(folder, out)
    typer.echo(f"{out}: format {version} became {FORMAT_VERSION}")
