"""How commands bring a stage of dvc.yaml up to date."""

import subprocess
import sys

import typer

from moss_speech.settings import child_environment, settings


def reproduce(stage: str, force: bool) -> None:
    """Run one stage with DVC if something changed; end with exit code 1 if it fails."""
    from moss_speech.stages.runner import declaration

    declaration(settings().root, stage)
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage]
    command += ["--force"] if force else []
    done = subprocess.run(command, cwd=settings().root, env=child_environment(), check=False)
    if done.returncode:
        raise typer.Exit(1)
