"""How long `make train` takes when nothing is to do, against plain `dvc status`: one JSON line.

Run it in a project root in which `make train` has finished.
"""

import json
import statistics
import subprocess
import sys
import time

from moss_speech.settings import child_environment, settings

ROUNDS = 5


def seconds(*arguments: str) -> tuple[float, str]:
    """Wall time and output of one Python program at the project root."""
    started_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=settings().root,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return time.monotonic() - started_s, done.stdout


def main() -> None:
    """Interleave both and print their medians and ratio."""
    launches, statuses = [], []
    for _ in range(ROUNDS):
        status_s, said = seconds("dvc", "status")
        if "up to date" not in said:
            sys.exit("benchmark again: there is something to train; run `make train` first")
        launch_s, said = seconds("flows.launch")
        if "nothing to do" not in said:
            sys.exit("benchmark again: there is no champion yet; run `make train` first")
        statuses.append(status_s)
        launches.append(launch_s)
    again_s, status_s = statistics.median(launches), statistics.median(statuses)
    figures = {"make_train_again_s": again_s, "ratio_to_dvc_status": again_s / status_s}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
