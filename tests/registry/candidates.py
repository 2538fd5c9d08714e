"""Small bundles to register, and processes of their own to promote them in."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from moss_speech.params.gates import Gates
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.settings import settings
from moss_speech.storage import write_bytes, write_json

FRESH = multiprocessing.get_context("forkserver")
"""Children come from a process that imported the modules and opened no store."""
FRESH.set_forkserver_preload(
    ["moss_speech.registry.promotion", "mlflow.store.tracking.sqlalchemy_store"]
)
GATES = Gates(approval="automatic", register_in="any_root", at_least={"s2s": 0.8, "t2t": 0.9})
GOOD = {"accuracy": {"s2s": {"value": 0.9, "ci95": [0.8, 1.0], "n": 120}, "t2t": {"value": 1.0}}}
BAD = {"accuracy": {"s2s": {"value": 0.5, "ci95": [0.4, 0.6], "n": 120}, "t2t": {"value": 1.0}}}


def make_candidate(name: str, metrics: dict[str, Any] = GOOD) -> Candidate:
    """A bundle folder that differs by name, with a report."""
    folder = settings().root / "made" / name
    write_bytes(folder / "bundle/lm/model.safetensors", name.encode())
    write_json(folder / "bundle/card.json", {"name": name})
    write_bytes(folder / "report/report.html", b"<p>report</p>")
    return Candidate(folder / "bundle", metrics, folder / "report")


def register(*names: str) -> list[int]:
    """Register good candidates; returns their versions."""
    return [register_candidate(make_candidate(name)) for name in names]


def process_of(work: Callable[..., Any], *arguments: Any) -> Any:
    """A process, not yet started, that will do `work` under the settings of this test."""
    mine = {name: value for name, value in os.environ.items() if name.startswith("MOSS_")}
    return FRESH.Process(target=_enter, args=(mine, Path.cwd(), work, arguments))


def _enter(
    environment: dict[str, str], folder: Path, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    settings.cache_clear()
    work(*arguments)


def _answer(work: Callable[..., Any], arguments: tuple[Any, ...], answers: Any) -> None:
    answers.put(work(*arguments))


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a process of its own, which must end well."""
    answers = FRESH.SimpleQueue()
    process = process_of(_answer, work, arguments, answers)
    process.start()
    process.join()
    assert process.exitcode == 0
    return answers.get()


def count_lines(files: tuple[Path, ...], work: Callable[..., Any], *arguments: Any) -> int:
    """How many lines of `files` run in `work`."""
    return _trace(files, None, work, arguments)


def kill_at_line(number: int, files: tuple[Path, ...], work: Callable[..., Any], *args: Any) -> int:
    """Run `work` in a process that is killed before the line with this number; its exit code."""
    process = process_of(_trace, files, number, work, args)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _trace(
    files: tuple[Path, ...], kill_at: int | None, work: Callable[..., Any], arguments: Any
) -> int:
    names, n_lines = {str(file) for file in files}, 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal n_lines
        if frame.f_code.co_filename not in names:
            return None
        if event == "line":
            n_lines += 1
            if n_lines == kill_at:
                os.kill(os.getpid(), 9)
        return trace

    sys.settrace(trace)
    try:
        work(*arguments)
    finally:
        sys.settrace(None)
    return n_lines
