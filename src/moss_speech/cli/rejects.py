"""The command that makes a page of what cleaning rejected."""

from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.settings import settings

app = typer.Typer()


@app.command("rejects")
@plain_errors
def data_rejects(
    reason: Annotated[str | None, typer.Option(help="Only what was rejected for this")] = None,
    out: Annotated[Path | None, typer.Option(help="Default: reports/rejects.html")] = None,
    each: Annotated[int, typer.Option(min=1, help="Items a reason, at most")] = 12,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser")] = False,
) -> None:
    """Make a page to listen to what the stage clean rejected, by reason."""
    from moss_speech.evaluation.pages.rejects import render_rejects
    from moss_speech.storage import write_bytes

    root = settings().root
    if not (root / "data" / "clean" / "rejects.jsonl").is_file():
        raise ValueError(f"{root / 'data' / 'clean'} is missing: `dvc repro clean` makes it")
    target = out or root / "reports" / "rejects.html"
    page = render_rejects(root / "data" / "clean", root, reason, each).encode()
    write_bytes(target, page)
    typer.echo(f"{target} ({len(page) / 1e6:.1f} MB)")
    if open_page:
        typer.launch(str(target))
