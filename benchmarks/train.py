"""How long a newcomer waits: set-up and `make train` in a new clone of the last commit.

`make bench-train` takes as long as both together. The clone keeps nothing of this folder but the
verified third-party weights, so that the network's speed is not measured.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _figures import Figure, figure, report

from moss_speech.settings import child_environment, settings
from moss_speech.storage import read_json

_TOTAL = re.compile(r"(\d+) s in all, \d+ s in stages \(([\d.]+)% outside them\)")


def make(target: str, folder: Path) -> tuple[float, str]:
    """Wall time and output of `make TARGET`, which is shown as it comes."""
    env = child_environment(MOSS_ROOT=str(folder), MOSS_ASSETS_FOLDER=str(settings().assets))
    started_s, lines = time.monotonic(), []
    command = ["make", target]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as job:
        for line in job.stdout or ():
            lines.append(line)
            print(line, end="", flush=True)
    return time.monotonic() - started_s, "".join(lines)


def stage_figures(root: Path) -> list[Figure]:
    """Seconds and peak memory of every stage that ran."""
    used = {f.parent.name: read_json(f) for f in root.glob("runs/*/usage.json")}
    order = sorted(used, key=lambda name: used[name]["started_s"])
    figures = [
        figure(f"stage {name}", [used[name]["ended_s"] - used[name]["started_s"]], "s")
        for name in order
    ]
    peak_gb = max(used[name]["peak_mb"] for name in order) / 1000
    return [*figures, figure("peak memory of a stage", [peak_gb], "GB", 6)]


def main() -> None:
    """Clone, set up, train, report."""
    with tempfile.TemporaryDirectory(prefix="moss-bench-") as folder:
        root = Path(folder) / "moss-speech"
        subprocess.run(["git", "clone", "--quiet", settings().root, root], check=True)
        setup_s, _ = make("setup", root)
        _, said = make("train", root)
        if (total := _TOTAL.search(said)) is None:
            sys.exit("benchmark train: make train did not come to its end")
        figures = [
            figure("set-up", [setup_s], "s"),
            figure("make train after set-up", [float(total[1])], "s", 1500),
            figure("outside the stages' processes", [float(total[2])], "%", 5),
            *stage_figures(root),
        ]
    report("train", figures)


if __name__ == "__main__":
    main()
