"""Blocks over processes: drawn as they are needed; a killed parent leaves no worker behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.parallel import over_blocks

PROGRAM = """
import os, time
from moss_speech.corpus.parallel import over_blocks
def work(block):
    time.sleep(0.01)
    return os.getpid()
if __name__ == "__main__":
    for pid in over_blocks(work, range(10**6), 2):
        print(pid, flush=True)
"""


def test_blocks_are_drawn_as_they_are_needed():
    drawn: list[int] = []

    def blocks() -> Iterator[int]:
        for n in range(100):
            drawn.append(n)
            yield n

    results = over_blocks(abs, blocks(), 2)
    first = next(results)
    assert len(drawn) < 20
    assert first + sum(results) == sum(range(100)) and len(drawn) == 100


def test_a_killed_parent_leaves_no_worker_behind(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists() or "Z" in _state(worker):
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {worker} still runs")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"
