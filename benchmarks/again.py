"""How long `make train` takes when nothing is to do, against plain `dvc status`.

`make bench-again` runs in a project root in which `make train` has made a champion.
"""

import subprocess
import sys
import time

from _figures import figure, report

from moss_speech.settings import child_environment, settings

ROUNDS = 5


def seconds(*command: str) -> tuple[float, str]:
    """Wall time and output of one program at the project root."""
    started_s = time.monotonic()
    done = subprocess.run(
        command,
        cwd=settings().root,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return time.monotonic() - started_s, done.stdout


def main() -> None:
    """Interleave both, so that a busy machine slows both alike."""
    trains, statuses, ratios = [], [], []
    for _ in range(ROUNDS):
        status_s, said = seconds(sys.executable, "-m", "dvc", "status")
        if "up to date" not in said:
            sys.exit("benchmark again: there is something to train; run `make train` first")
        train_s, said = seconds("make", "train")
        if "nothing to do" not in said:
            sys.exit("benchmark again: there is no champion yet; run `make train` first")
        statuses.append(status_s)
        trains.append(train_s)
        ratios.append(train_s / status_s)
    figures = [
        figure("second make train", trains, "s", 10),
        figure("dvc status", statuses, "s"),
        figure("second make train / dvc status", ratios, ""),
    ]
    report("again", figures)


if __name__ == "__main__":
    main()
