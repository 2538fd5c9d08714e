"""`python -m moss_speech.stages NAME`: run one stage as dvc.yaml declares it."""

import importlib
import logging
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from moss_speech.params.base import read_yaml, validate_section
from moss_speech.records import SilentTracker
from moss_speech.settings import is_first_rank, settings, switch_off_telemetry
from moss_speech.stages.runner import (
    Declaration,
    StageIO,
    declaration,
    fingerprint,
    input_digests,
    threads_of,
    use_threads,
)
from moss_speech.storage import InUseError, exclusive, write_bytes, write_json

_WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
_PLAIN = (ValueError, ArithmeticError, OSError, InUseError)
"""Errors whose message says all; any other prints its traceback as well."""


def _run(stage: Declaration, params: dict[str, Any], root: Path) -> None:
    module = importlib.import_module(f"moss_speech.stages.{stage.name}")
    _silence_lightning()
    p = validate_section(params[stage.name], module.Section, f"params.yaml: {stage.name}")
    digests = input_digests(stage)
    mark = fingerprint(stage, params, digests)
    folder = root / "runs" / stage.name

    if not is_first_rank():  # the first one holds the lock and files the run
        silent = SilentTracker()
        module.run(p, StageIO(stage.inputs, stage.output, folder / mark, silent, params["seed"]))
        return

    from moss_speech.registry.tracking import stage_run  # after the threads are bound

    with (
        exclusive(folder / "lock", f"stage {stage.name}"),
        stage_run(stage.name, mark, digests, stage.output) as tracker,
    ):
        tracker.params(params[stage.name])
        tracker.datasets(
            {p: digests[n] for n, p in stage.inputs.items() if p.parent.name == "data"}
        )
        io = StageIO(stage.inputs, stage.output, folder / mark, tracker, params["seed"])
        module.run(p, io)
        tracker.metrics({f"system/{name}": value for name, value in _usage().items()})


def _silence_lightning() -> None:
    """Its hints and notices; warnings of ours and of torch stay. It must be imported already."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")


def _started_s() -> float:
    """When this process started, in seconds since the epoch."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


def _usage() -> dict[str, float]:
    """What this process and its children took so far."""
    used = [resource.getrusage(who) for who in _WHOSE]
    cpu_s = sum(u.ru_utime + u.ru_stime for u in used)
    return {"cpu_s": round(cpu_s, 1), "peak_mb": sum(u.ru_maxrss for u in used) // 1024}


def _keep_usage(folder: Path) -> None:
    """What the run cost, beside the outputs: it differs from run to run."""
    write_json(
        folder / "usage.json", _usage() | {"started_s": _started_s(), "ended_s": time.time()}
    )


def main(name: str) -> int:
    """Validate the stage's params, lock it, run it, file the run; 0 if all is well.

    An error is printed plainly; its traceback is kept in runs/NAME/error.txt.
    """
    switch_off_telemetry()
    root = settings().root
    kept = root / "runs" / name / "error.txt"
    try:
        params = read_yaml(root / "params.yaml")
        stage = declaration(root, name)
        use_threads(threads_of(params, name))
        _run(stage, params, root)
    except Exception as error:
        write_bytes(kept, traceback.format_exc().encode())
        if not isinstance(error, _PLAIN):
            traceback.print_exc()
        print(f"stage {name}: {error or type(error).__name__}", file=sys.stderr)
        return 1
    kept.unlink(missing_ok=True)
    _keep_usage(kept.parent)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m moss_speech.stages NAME")
    sys.exit(main(sys.argv[1]))
