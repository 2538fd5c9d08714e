"""Options that several commands have."""

from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]
Model = Annotated[str, typer.Option(help="Registry address or bundle folder")]
Voice = Annotated[str | None, typer.Option(help="A voice of the model, or one that was added")]
Url = Annotated[str, typer.Option(help="The service: http(s)://HOST:PORT or ws(s)://HOST:PORT")]
Turns = Annotated[
    Literal["vad", "manual"], typer.Option(help="Who ends a turn: the service by silence, or you")
]
