"""The `moss-speech` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="Train, judge, promote and serve speech models.")
