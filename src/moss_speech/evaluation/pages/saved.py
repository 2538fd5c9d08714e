"""A saved evaluation, opened and checked: its figures, and every item with its verdict.

The project's own evaluation and outside suites end up as one thing; whatever of a folder is
damaged is named by file and line.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moss_speech.evaluation.pages.schema import SavedReport, SavedSuite, first_flaw
from moss_speech.evaluation.scores import Record, Scorer, Verdict, word_errors
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import REPEAT_TITLES
from moss_speech.storage import read_json, read_jsonl

REPORT, ITEMS = "report.json", "items.jsonl"
_MAX_TEXT = 2000
"""Characters of a question or an answer that pages show."""


@dataclass(frozen=True)
class HeardAs:
    """What one judge made of an answer."""

    judge: str
    words: str
    right: bool


@dataclass(frozen=True)
class Judged:
    """One item with what came of it; a figure is the sum of parts over the sum of wholes."""

    id: str
    cell: str
    fact: str
    voice: str
    question: str
    expected: str
    text: str | None
    """The answer in text; None where it was spoken."""
    part: float
    whole: float
    heard: tuple[HeardAs, ...] = ()
    question_audio: Path | None = None
    answer_audio: Path | None = None

    @property
    def is_right(self) -> bool:
        """Whether every judge found it right; only for shares."""
        return self.part == self.whole

    @property
    def asked(self) -> tuple[str, str, str, str]:
        """What was asked: only items that are equal in it are compared between runs."""
        return self.id, self.question, self.expected, self.voice


@dataclass(frozen=True)
class Evaluation:
    """A saved evaluation."""

    folder: Path
    name: str
    """`moss-speech`, or the name of the outside suite."""
    report: Mapping[str, Any]
    shares: Mapping[str, Mapping[str, Any]]
    """Figures that are shares, by name: `{"value", "ci95", "n"}`."""
    items: Sequence[Judged]
    sampling: Sampling

    @property
    def is_own(self) -> bool:
        """Whether it is the project's own evaluation, with corpus and method of its own."""
        return "accuracy" in self.report


def open_evaluation(folder: Path, root: Path) -> Evaluation:
    """Open the evaluation in `folder`; `ValueError` names what is missing or damaged.

    Spoken questions of reports of format 1 and of outside suites are read from below `root`; those
    of later ones, and every answer, from the folder itself.
    """
    for name in (REPORT, ITEMS):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} holds no evaluation: {name} is missing")
    report = read_json(folder / REPORT)
    if not isinstance(report, dict):
        raise ValueError(f"{folder / REPORT} holds a {type(report).__name__}, must hold an object")
    kind = SavedSuite if "suite" in report else SavedReport
    try:
        kind.model_validate_json((folder / REPORT).read_bytes())
    except ValidationError as error:
        raise ValueError(f"{folder / REPORT}: {first_flaw(error)}") from error
    if kind is SavedSuite:
        return _suite(folder, root, report)
    scorer = Scorer(report["answers"])
    sounds = root if report["format_version"] == 1 else folder
    items = [_own(folder, sounds, scorer, n, row) for n, row in _rows(folder)]
    how = report["method"]
    sampling = Sampling(how["resamples"], how["confidence"], how["seed"])
    return Evaluation(folder, "moss-speech", report, report["accuracy"], items, sampling)


def _suite(folder: Path, root: Path, report: Mapping[str, Any]) -> Evaluation:
    """What could not be asked counts in no figure and is no item here."""
    about, cells = report["suite"], report["cells"]
    asked = [(n, row) for n, row in _rows(folder) if not row.get("reason")]
    items = [_outside(folder, root, n, row) for n, row in asked]
    shares = {
        name: cell["accuracy"] | ({"chance": cell["chance"]} if "chance" in cell else {})
        for name, cell in cells.items()
    }
    sampling = Sampling(about["resamples"], about["confidence"], report["seed"])
    return Evaluation(folder, about["name"], report, shares, items, sampling)


def _rows(folder: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """Numbered rows of items.jsonl; `ValueError` names a line that is no item or comes twice."""
    path, seen = folder / ITEMS, set()
    rows = list(enumerate(read_jsonl(path), 1))
    for number, row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise ValueError(f"{path} line {number} is no item: must be an object with an id")
        if row["id"] in seen:
            raise ValueError(f"{path} line {number}: id {row['id']!r} is not the first")
        seen.add(row["id"])
    return rows


def _own(folder: Path, sounds: Path, scorer: Scorer, number: int, row: Mapping[str, Any]) -> Judged:
    where = f"{folder / ITEMS} line {number} ({row['id']})"
    try:
        return _judged(Record.from_json(row), folder, sounds, scorer, where)
    except KeyError as error:
        raise ValueError(f"{where}: {error} is missing or is no answer of report.json") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{where}: a value of the wrong kind: {error}") from error


def _judged(record: Record, folder: Path, sounds: Path, scorer: Scorer, where: str) -> Judged:
    item = record.item
    part, whole, verdict = _score(record, scorer)
    return Judged(
        id=item.id,
        cell=item.cell,
        fact=item.fact,
        voice=item.voice,
        question=item.question[:_MAX_TEXT],
        expected=item.expected[:_MAX_TEXT],
        text=record.text[:_MAX_TEXT] if item.reply == "text" else None,
        part=part,
        whole=whole,
        heard=_heard(record, verdict),
        question_audio=_inside(sounds, record.question_audio, where),
        answer_audio=_inside(folder, record.audio, where),
    )


def _score(record: Record, scorer: Scorer) -> tuple[float, float, Verdict]:
    """Part and whole of an item, and what each judge says: shares of 1, or errors of words."""
    if record.item.cell not in REPEAT_TITLES:
        verdict = scorer.verdict(record)
        return verdict.value, 1.0, verdict
    answers = [record.text]
    if record.item.reply != "text":
        answers = [record.whisper or "", record.sphinx or ""]
    errors = [word_errors(record.item.expected, words) for words in answers]
    return sum(errors) / len(errors), len(record.item.expected.split()), Verdict(0.0)


def _heard(record: Record, verdict: Verdict) -> tuple[HeardAs, ...]:
    found = (
        ("Whisper", record.whisper, verdict.whisper),
        ("Sphinx", record.sphinx, verdict.sphinx),
        ("codes", record.nearest, verdict.codes),
    )
    return tuple(HeardAs(j, w, r) for j, w, r in found if w is not None and r is not None)


def _outside(folder: Path, root: Path, number: int, row: Mapping[str, Any]) -> Judged:
    where = f"{folder / ITEMS} line {number} ({row['id']})"
    value = row.get("value")
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
        raise ValueError(f"{where}: value is {value!r}, must be a finite number")
    return Judged(
        id=row["id"],
        cell=_words(row, "cell") or "items",
        fact=_words(row, "fact") or row["id"],
        voice=_words(row, "voice"),
        question=_words(row, "question"),
        expected=_words(row, "expected"),
        text=_words(row, "text") or None,
        part=float(value),
        whole=1.0,
        heard=(HeardAs("recogniser", words, value == 1),)
        if (words := _words(row, "heard"))
        else (),
        question_audio=_below(root, row.get("question_audio")),
        answer_audio=_inside(folder, row.get("audio"), where),
    )


def _words(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, list):
        value = " / ".join(map(str, value))
    return "" if value is None else str(value)[:_MAX_TEXT]


def _below(root: Path, name: object) -> Path | None:
    """A spoken question if it lies below the project root; a suite may lie anywhere."""
    if not isinstance(name, str) or "\0" in name:
        return None
    path = Path(os.path.normpath(root / name))
    return path if path.is_relative_to(os.path.normpath(root)) else None


def _inside(base: Path, name: object, where: str) -> Path | None:
    """A sound below `base`; `ValueError` for a name that leads out of it."""
    if name is None:
        return None
    if not isinstance(name, str) or "\0" in name:
        raise ValueError(f"{where}: audio is {name!r}, must be the name of a file")
    path = Path(os.path.normpath(base / name))  # links stay: data may lie in a cache
    if not path.is_relative_to(os.path.normpath(base)):
        raise ValueError(f"{where}: audio {name!r} lies outside {base}")
    return path
