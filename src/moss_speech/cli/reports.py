"""Commands on evaluations that were made: their figures, and pages of runs and comparisons."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser")]
_PAGE = "page"
_RUNS = "Run id or its beginning, version (v3), alias (champion), latest, or evaluation folder"


class _RunsFirst(TyperGroup):
    """`report RUN…` is short for `report page RUN…`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `page` before arguments that are not one of the other commands alone."""
        names = [arg for arg in args if not arg.startswith("-")]
        if names and names[0] != _PAGE and not (len(names) == 1 and names[0] in self.commands):
            args = [_PAGE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RunsFirst, no_args_is_help=True, help="Evaluations, runs, comparisons.")


@app.command(_PAGE)
@plain_errors
def page(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=_RUNS)],
    out: Annotated[Path | None, typer.Option(help="Where to; default: reports/NAME.html")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown for a pull request; printed without --out")
    ] = False,
    open_page: OpenPage = False,
) -> None:
    """One file about a run, or about what changed from the first run to the others."""
    from moss_speech.evaluation.pages.report import page_name, report_markdown, report_page
    from moss_speech.registry.subjects import find_subject
    from moss_speech.storage import write_bytes

    subjects = [find_subject(run) for run in runs]
    if markdown:
        text = report_markdown(subjects)
        if out is None:
            typer.echo(text, nl=False)
            return
    else:
        text = report_page(subjects)
    target = out or settings().root / "reports" / page_name(subjects)
    write_bytes(target, text.encode())
    typer.echo(str(target))
    if open_page:
        typer.launch(str(target))


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
