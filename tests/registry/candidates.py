"""Small bundles to register, and processes of their own to promote them in.

The bundles hold no weights, so `promote` here takes their trial for done; test_trial.py and
test_judging.py try real ones.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from moss_speech.card import CARD, Card, Sealed, files_of
from moss_speech.catalogue.data import SourceFacts, record_dataset
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import GateResult, Wanted
from moss_speech.evaluation.scores import Record
from moss_speech.evaluation.suites import Item
from moss_speech.params.gates import Gates, NoWorse
from moss_speech.registry.judging import Trial
from moss_speech.registry.promotion import Decision, decide
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.settings import settings
from moss_speech.storage import file_digest, write_bytes, write_json, write_jsonl
from tests.tiny_bundle import ABOUT

FRESH = multiprocessing.get_context("forkserver")
"""Children come from a process that imported the modules and opened no store."""
FRESH.set_forkserver_preload(
    ["moss_speech.registry.promotion", "mlflow.store.tracking.sqlalchemy_store"]
)
GATES = Gates(
    approval="automatic",
    register_in="any_root",
    at_least={"s2s": 0.8, "t2t": 0.9},
    at_most={},
    no_worse=NoWorse(figures=["s2s"], margin=0.6, confidence=0.95, resamples=100),
    undeclared_sources="refused",
    unlicensed_weights="refused",
    answers_within_s=600,
)
TRIED = Trial(GateResult("bundle", True, "the bundle opens and answers", {}), {})
DATA = "d" * 64
SOURCES = [SourceFacts("voices", "Apache-2.0", "synthetic", 2)]
N_ITEMS = 8
GOOD = {"accuracy": {"s2s": {"value": 0.9, "ci95": [0.8, 1.0], "n": 120}, "t2t": {"value": 1.0}}}
BAD = {"accuracy": {"s2s": {"value": 0.5, "ci95": [0.4, 0.6], "n": 120}, "t2t": {"value": 1.0}}}


def make_candidate(
    name: str, metrics: dict[str, Any] = GOOD, values: Sequence[float] = (1.0,) * N_ITEMS
) -> Candidate:
    """A sealed bundle folder that differs by name, with declared data and a report of items."""
    folder = settings().root / "made" / name
    weights = folder / "bundle/lm/model.safetensors"
    write_bytes(weights, name.encode())
    files = {
        file: Sealed(bytes=path.stat().st_size, sha256=file_digest(path))
        for file, path in files_of(folder / "bundle").items()
    }
    card = Card(format_version=1, about=ABOUT, voices=[], files=files)
    write_json(folder / "bundle" / CARD, card.model_dump())
    write_report(folder / "report", values)
    with catalogue() as session:
        record_dataset(session, DATA, SOURCES, [])
    return Candidate(folder / "bundle", metrics, folder / "report", DATA)


def write_report(folder: Path, values: Sequence[float], question: str = "what") -> None:
    """A report whose items of the figure s2s have these values: 0, 0.5 (one judge) or 1."""
    write_bytes(folder / "report.html", b"<p>report</p>")
    write_json(folder / "report.json", {"answers": ["yes", "no"], "accuracy": {"s2s": {}}})
    write_jsonl(folder / "items.jsonl", (_row(n, v, question) for n, v in enumerate(values)))


def _row(number: int, value: float, question: str) -> dict[str, Any]:
    item = Item(
        f"s2s/{number}", "s2s", "speech", "speech", question, "yes", f"fact-{number // 2}",
        f"voice-{number % 2}", "0", f"question-{number}",
    )  # fmt: skip
    heard = {"whisper": "yes" if value > 0 else "no", "sphinx": "yes" if value > 0.5 else "no"}
    return Record(item, **heard).to_json()


def promote(version: int, approved_by: str, gates: Gates = GATES, why: str = "") -> Decision:
    """As the real one, of a bundle that was tried."""
    return decide(version, Wanted(approved_by, why, gates.model_dump()), TRIED)


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
