"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]
Model = Annotated[str, typer.Option(help="Registry address or bundle folder")]
Voice = Annotated[str | None, typer.Option(help="A voice of the model, or one that was added")]
