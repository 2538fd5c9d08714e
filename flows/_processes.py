"""Programs that we start and that end with us, however we end."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

_GUARD = Path(__file__).with_name("_guard.py")


def start_guarded(
    command: list[str], cwd: Path, env: dict[str, str], output: IO[str] | int
) -> subprocess.Popen[str]:
    """Start a program under the guard, in a process group of its own; both outputs go together."""
    return subprocess.Popen(
        [sys.executable, "-SE", str(_GUARD), *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def end_guarded(process: subprocess.Popen[str], grace_s: float = 0) -> None:
    """End a program and all that it started; with a grace it is asked first."""
    if grace_s and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()  # upon which the guard kills
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
