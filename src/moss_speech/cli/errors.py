"""How commands tell people of what they can cure."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

A = ParamSpec("A")
R = TypeVar("R")


def plain_errors(command: Callable[A, R]) -> Callable[A, R]:
    """Print what users can cure as one line and end with exit code 1."""

    @wraps(command)
    def run(*args: A.args, **kwargs: A.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except typer.Exit:  # a RuntimeError, but nothing to tell of
            raise
        except (ValueError, LookupError, OSError, RuntimeError) as error:
            typer.echo(f"moss-speech: {error}", err=True)
            raise typer.Exit(1) from None

    return run
