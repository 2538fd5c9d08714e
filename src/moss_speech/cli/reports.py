"""Commands on evaluations that were made: their figures and pages."""

import json
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser")]
app = typer.Typer(no_args_is_help=True, help="Figures of evaluations.")


@app.command()
@plain_errors
def latest(as_json: Json = False, open_page: OpenPage = False) -> None:
    """Figures of the newest evaluation."""
    from moss_speech.evaluation.report import latest_report

    found = latest_report(settings().root)
    if open_page:
        typer.launch(str(settings().root / "reports" / "report.html"))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, figure in found["accuracy"].items():
        low, high = figure["ci95"]
        typer.echo(f"{name:20} {figure['value']:.3f}  ({low:.2f} to {high:.2f}, n {figure['n']})")


@app.command()
@plain_errors
def codec(as_json: Json = False, open_page: OpenPage = False) -> None:
    """What codec and decoder alone keep of speech, by the newest evaluation."""
    from moss_speech.evaluation.codec_rows import table_lines
    from moss_speech.evaluation.report import CODEC_PAGE, FOLDER, latest_report

    found = latest_report(settings().root)
    speed = found.get("latency", {}).get("codec", {})
    if open_page:
        typer.launch(str(settings().root / "reports" / FOLDER / CODEC_PAGE))
    if as_json:
        typer.echo(json.dumps(found["codec"] | {"real_time_factors": speed}))
        return
    for line in table_lines(found["codec"], speed):
        typer.echo(line)
