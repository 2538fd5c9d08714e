"""One suite asked of one model: begun, gone on with after a cut, judged, and judged again.

run.json       what was asked of whom, and how; a folder holds answers of one such run only
answers.jsonl  what the model did, one line for items that were answered together
items.jsonl    every item with its value, made of the answers
report.json    the figures, made of the items
audio/         every sound that was judged
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moss_speech.audio import SPEAKING, read_audio
from moss_speech.evaluation.benchmarks.answers import Answer, Bench, Kind
from moss_speech.evaluation.benchmarks.asking import Asking, output_of
from moss_speech.evaluation.benchmarks.choosing import Choosing
from moss_speech.evaluation.benchmarks.coding import Coding
from moss_speech.evaluation.benchmarks.hearing import Writer, describe_writer, open_writer
from moss_speech.evaluation.benchmarks.items import DESCRIPTION, Item, OpenedSuite
from moss_speech.evaluation.benchmarks.normal import describe
from moss_speech.evaluation.benchmarks.scoring import figures, judge
from moss_speech.evaluation.benchmarks.speaking import Readers
from moss_speech.evaluation.benchmarks.subject import Subject
from moss_speech.evaluation.benchmarks.timing import Timing
from moss_speech.lm.grid import SYSTEM
from moss_speech.params.base import validate_section
from moss_speech.params.suite import (
    SUITES,
    ChoiceSuite,
    CodecSuite,
    InstructionSuite,
    LatencySuite,
    QaSuite,
    Suite,
)
from moss_speech.records import report_progress
from moss_speech.storage import exclusive, file_digest, read_json, write_json, write_jsonl

FORMAT_VERSION = 1
_HEAR_HZ = SPEAKING.sample_rate_hz
RUN, ANSWERS, ITEMS, REPORT = "run.json", "answers.jsonl", "items.jsonl", "report.json"


@dataclass(frozen=True)
class How:
    """What is chosen about a run."""

    seed: int
    items: int | None
    """So many, drawn by the seed; None asks all."""
    spoken: Path
    """Where questions that were read aloud are kept."""
    force: bool = False
    """Drop answers of an earlier run in the same folder."""


def drawn(items: Sequence[Item], n: int | None, seed: int) -> list[Item]:
    """`n` of the items in their own order; equal seeds draw equally."""
    if n is not None and n < 1:
        raise ValueError(f"items is {n}, must be at least 1")
    if n is None or n >= len(items):
        return list(items)
    places = np.random.default_rng(seed).permutation(len(items))[:n]
    return [items[place] for place in sorted(places)]


def run_suite(suite: OpenedSuite, subject: Subject, how: How, out: Path) -> dict[str, Any]:
    """Ask a suite of a model and file everything in the folder `out`; the report.

    Goes on where an earlier run with the same inputs was cut off. Raises `ValueError` if the
    folder holds answers of another run, and for a model that cannot be asked such a suite.
    """
    items = drawn(suite.items, how.items, how.seed)
    about = suite.about
    plan = _plan(suite, subject, how, len(items))
    with exclusive(out / "lock", f"the folder {out}"):
        _begin(out, plan, how.force)
        readers = Readers(about.speakers, how.spoken)
        bench = Bench(
            subject,
            readers,
            lambda: open_writer(_recogniser(about) or "", about.language),
            how.seed,
            out,
        )
        answers = _answered(_kind(about, bench), items, out, about.name)
        return _file(out, plan, answers, about)


def rescore(folder: Path, recogniser: str | None = None) -> dict[str, Any]:
    """Judge a saved run anew without its model; the new report.

    With the name of a recogniser every sound is heard again by it. Raises `ValueError` for a
    folder that holds no run.
    """
    if not (folder / RUN).is_file() or not (folder / ANSWERS).is_file():
        raise ValueError(f"{folder} holds no {RUN} with {ANSWERS}, so it is no run of a suite")
    with exclusive(folder / "lock", f"the folder {folder}"):
        plan = read_json(folder / RUN)
        values = plan["suite"]
        about = validate_section(values, SUITES[values["kind"]], f"{folder / RUN}: suite")
        answers = [answer for line in _lines(folder / ANSWERS) for answer in line]
        if not answers:
            raise ValueError(f"{folder / ANSWERS} holds 0 answers, must hold at least 1")
        if recogniser is not None:
            plan["recogniser"] = describe_writer(recogniser, about.language)
            writer = open_writer(recogniser, about.language)
            answers = [_heard_again(answer, folder, writer) for answer in answers]
        return _file(folder, plan, answers, about)


def _heard_again(answer: Answer, folder: Path, writer: Writer) -> Answer:
    if answer.audio is None:
        return answer
    sound_S = read_audio(folder / answer.audio, _HEAR_HZ)
    return dataclasses.replace(answer, heard=writer(sound_S, _HEAR_HZ))


def _recogniser(about: Suite) -> str | None:
    return about.recogniser if isinstance(about, QaSuite | InstructionSuite | CodecSuite) else None


def _plan(suite: OpenedSuite, subject: Subject, how: How, n_items: int) -> dict[str, Any]:
    """What determines the answers, and what a reader must know to repeat them."""
    about, name = suite.about, _recogniser(suite.about)
    prompts: dict[str, str] = {}
    if isinstance(about, QaSuite | InstructionSuite | ChoiceSuite):
        outputs = {route: output_of(route) for route in about.routes}
        prompts = {route: about.system.get(o, SYSTEM[o]) for route, o in outputs.items()}
    if isinstance(about, ChoiceSuite) and about.form == "plain":
        prompts = dict.fromkeys(prompts, about.preamble)
    if isinstance(about, LatencySuite):
        prompts = {Timing.cells[0]: SYSTEM["audio"]}
    return {
        "format_version": FORMAT_VERSION,
        "suite": about.model_dump(),
        "suite_digest": _digest(suite),
        "model": {"address": subject.address, "digest": subject.digest},
        "seed": how.seed,
        "n_items": n_items,
        "prompts": prompts,
        "normalisation": describe(about.language),
        "recogniser": None if name is None else describe_writer(name, about.language),
    }


def _digest(suite: OpenedSuite) -> str:
    """SHA-256 over description and tables; recordings count by what the tables say of them."""
    tables = sorted(suite.folder.glob(suite.about.table.file))
    files = [suite.folder / DESCRIPTION, *tables]
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()


def _begin(out: Path, plan: dict[str, Any], force: bool) -> None:
    if force:
        for name in (RUN, ANSWERS, ITEMS, REPORT):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / "audio", ignore_errors=True)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    if not (path := out / RUN).is_file():
        write_json(path, plan)
        return
    before = read_json(path)
    changed = [key for key in plan if before.get(key) != json.loads(json.dumps(plan[key]))]
    if changed:
        raise ValueError(
            f"{out} holds answers of another run ({', '.join(changed)} changed): choose another "
            "--out, or drop them with --force"
        )


def _kind(about: Suite, bench: Bench) -> Kind:
    match about:
        case QaSuite() | InstructionSuite():
            return Asking(about, bench)
        case ChoiceSuite():
            return Choosing(about, bench)
        case CodecSuite():
            return Coding(about, bench)
        case _:
            return Timing(about, bench)


def _answered(kind: Kind, items: Sequence[Item], out: Path, name: str) -> list[Answer]:
    """Answers of all cells; whole lines of an earlier run are taken as they are."""
    path = out / ANSWERS
    lines = list(_lines(path)) if path.is_file() else []
    write_jsonl(path, ([answer.to_json() for answer in line] for line in lines))
    starts = range(0, len(items), kind.batch)
    batches = [(cell, items[s : s + kind.batch]) for cell in kind.cells for s in starts]
    with path.open("a", encoding="utf-8") as stream:
        for done, (cell, some) in enumerate(batches[len(lines) :], len(lines) + 1):
            lines.append(kind.answer(cell, some))
            rows = [answer.to_json() for answer in lines[-1]]
            line = json.dumps(rows, sort_keys=True, ensure_ascii=False, allow_nan=False)
            stream.write(line + "\n")
            stream.flush()
            report_progress(done, len(batches), f"batches of {name}, {cell}")
    return [answer for line in lines for answer in line]


def _lines(path: Path) -> Iterator[list[Answer]]:
    """Answers of each whole line; what a killed run left of its last line is dropped."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            yield [Answer.from_json(row) for row in json.loads(line)]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} line {number} is damaged: {error}") from error


def _file(
    out: Path, plan: dict[str, Any], answers: Sequence[Answer], about: Suite
) -> dict[str, Any]:
    judged = [judge(answer, about) for answer in answers]
    if all(answer.reason for answer in judged):
        raise ValueError(f"{out.name}: no item could be asked; the first: {judged[0].reason}")
    report = plan | figures(judged, about, plan["seed"])
    write_jsonl(out / ITEMS, (answer.to_json() for answer in judged))
    write_json(out / REPORT, report)
    return report
