"""Flow package: the service as a Bento."""

import subprocess
import sys

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from moss_speech.settings import child_environment, settings


@flow(name="package")
def package() -> State[str]:
    """Run `bentoml build`; the Bento lies in the state folder and is never committed."""
    home = settings().state / "bentoml"
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=settings().root,
        env=child_environment(BENTOML_HOME=str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"bentoml build ended with {done.returncode}: {done.stderr[-2000:]}")
    get_run_logger().info("%s", done.stdout.strip())
    return Completed(message=done.stdout.strip())
