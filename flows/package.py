"""Flow package: the service as a Bento."""

import subprocess
import sys

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._notices import TOLD
from moss_speech.settings import child_environment, settings


@flow(name="package", **TOLD)
def package() -> State[str]:
    """Run `moss-speech package`; the Bento lies in the state folder and is never committed."""
    done = subprocess.run(
        [sys.executable, "-m", "moss_speech.cli", "package"],
        cwd=settings().root,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"package ended with {done.returncode}: {done.stderr[-2000:]}")
    get_run_logger().info("%s", done.stdout.strip())
    return Completed(message=done.stdout.strip())
