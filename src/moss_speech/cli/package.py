"""Command `package`: the service and its model as one Bento."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.settings import child_environment, settings

app = typer.Typer()


@app.command()
@plain_errors
def package(
    out: Annotated[
        Path | None, typer.Argument(help="A new folder for the Bento; else BentoML's store alone")
    ] = None,
) -> None:
    """Pack the service with the model that MOSS_MODEL names, verified: it runs without the project.

    BentoML's store lies in the state folder.
    """
    home = settings().state / "bentoml"
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "services.package"]
    command += [] if out is None else [str(out.absolute())]
    env = child_environment(BENTOML_HOME=str(home))
    done = subprocess.run(command, cwd=settings().root, env=env, check=False)
    if done.returncode:
        raise typer.Exit(1)
