"""Damaged and hostile evaluations and run names: refused by name, or shown without the damage."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moss_speech.evaluation.pages.report import report_page
from moss_speech.evaluation.pages.saved import open_evaluation
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.registry.runs import by_prefix
from moss_speech.registry.subjects import find_subject
from moss_speech.registry.tracking import pipeline_run, stage_run
from moss_speech.storage import read_json, read_jsonl
from tests.evaluation.saved import write_evaluation, write_suite

Make = Callable[[Path], Any]


def report(*path: str, to: Any) -> Make:
    """Set one value of report.json; `...` takes it out."""

    def make(folder: Path) -> None:
        found = read_json(folder / "report.json")
        place = found
        for key in path[:-1]:
            place = place[key]
        if to is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = to
        (folder / "report.json").write_text(json.dumps(found))

    return make


def item(key: str, to: Any, line: int = 1) -> Make:
    """Set one value of an item; `...` takes it out."""

    def make(folder: Path) -> None:
        rows = read_jsonl(folder / "items.jsonl")
        if to is ...:
            del rows[line][key]
        else:
            rows[line][key] = to
        (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return make


def content(name: str, what: bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(what)


def gone(name: str) -> Make:
    return lambda folder: (folder / name).unlink()


def loop(name: str) -> Make:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(name)

    return make


def as_folder(name: str) -> Make:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return make


def cut_off(name: str) -> Make:
    return lambda folder: os.truncate(folder / name, 200)


LONG = {"id": "a", "reason": "text", "value": "so " * 400_000, "allowed": "less", "flaw": None}
MANY = [LONG | {"id": str(n), "value": "so"} for n in range(10_000)]
FIGURE = {"value": 0.5, "ci95": [0.4, 0.6], "n": 2}
KINDS: list[tuple[str, Make, str]] = [
    ("no report", gone("report.json"), "holds no evaluation: report.json is missing"),
    ("no items", gone("items.jsonl"), "holds no evaluation: items.jsonl is missing"),
    ("report cut off", cut_off("report.json"), "report.json is not JSON"),
    ("report is binary", content("report.json", b"\xff\xfe\x00"), "report.json is not JSON"),
    ("report is a list", content("report.json", b"[]"), "holds a list, must hold an object"),
    ("report nested too deep", content("report.json", b"[" * 90_000), "report.json is not JSON"),
    ("format of the future", report("format_version", to=9), "format_version is 9"),
    ("no format", report("format_version", to=...), "format_version: Field required"),
    ("no accuracy", report("accuracy", to=...), "accuracy: Field required"),
    ("no answers", report("answers", to=...), "answers: Field required"),
    ("figure is NaN", report("accuracy", "s2s", "value", to=float("nan")), "s2s.value"),
    ("figure is text", report("accuracy", "s2s", "value", to="0.9"), "s2s.value is '0.9'"),
    ("interval without end", report("accuracy", "s2s", "ci95", to=[0.1]), "s2s.ci95"),
    ("interval to infinity", report("accuracy", "s2s", "ci95", to=[0, float("inf")]), "ci95.1"),
    ("figure over no items", report("accuracy", "s2s", "n", to=0), "s2s.n is 0"),
    ("judge's share is text", report("accuracy", "s2s", "whisper", to="all"), "s2s.whisper"),
    ("no resamples", report("method", "resamples", to=0), "method.resamples is 0"),
    ("a billion resamples", report("method", "resamples", to=10**9), "method.resamples"),
    ("certainty", report("method", "confidence", to=1.0), "method.confidence is 1.0"),
    ("goals are a list", report("method", "goals", to=[1]), "method.goals"),
    ("reject without reason", report("corpus", "rejects", "rows", to=[{"id": "a"}]), "0.reason"),
    ("composition of text", report("corpus", "composition", to="much"), "corpus.composition"),
    ("codec of another shape", report("codec", "heard", to={"people": 1}), "codec.heard.people"),
    ("retention without before", report("text", to={"after": FIGURE}), "text.before"),
    ("item is no JSON", content("items.jsonl", b"{}\nso\n"), "items.jsonl line 2 is not JSON"),
    ("item is binary", content("items.jsonl", b"\xff\n"), "items.jsonl line 1 is not JSON"),
    ("item is a list", content("items.jsonl", b"[1]\n"), "items.jsonl line 1 is no item"),
    ("item without id", item("id", ...), "items.jsonl line 2 is no item"),
    ("id is a number", item("id", 7), "items.jsonl line 2 is no item"),
    ("id comes twice", item("id", "t2s/0"), "line 2: id 't2s/0' is not the first"),
    ("item without its question", item("question", ...), "line 2 (s2s/1): 'question' is missing"),
    ("question is a number", item("question", 7), "line 2 (s2s/1): a value of the wrong kind"),
    ("answer out of the list", item("expected", "it is red"), "'it is red' is missing or is no"),
    ("typed answer is a number", item("text", 7, line=3), "line 4 (s2t/3): a value of the wrong"),
    ("no codes", item("codes", None), "line 2 (s2s/1): a value of the wrong kind"),
    ("sound above the folder", item("audio", "../x.flac"), "audio '../x.flac' lies outside"),
    ("sound at the root", item("audio", "/etc/passwd"), "audio '/etc/passwd' lies outside"),
    ("question's sound outside", item("question_audio", "a/../../b"), "lies outside"),
    ("sound is a number", item("audio", 5), "audio is 5, must be the name of a file"),
    ("NUL in a sound's name", item("audio", "a\0b"), "must be the name of a file"),
]  # fmt: skip
SUITE_KINDS: list[tuple[str, Make, str]] = [
    ("verdict is NaN", item("value", float("nan")), "line 2 (b): value is nan, must be a finite"),
    ("verdict is text", item("value", "right"), "line 2 (b): value is 'right'"),
    ("no verdict", item("value", ...), "line 2 (b): value is None"),
    ("suite without a description", report("suite", to=5), "suite is 5"),
    ("suite of seconds", report("suite", "kind", to="latency"), "suite.kind is 'latency'"),
    (
        "suite without intervals",
        report("cells", to={"x": {"accuracy": {"value": 1, "n": 1}}}),
        "x.accuracy.ci95",
    ),
    ("prompts are text", report("prompts", to="by ear"), "prompts is 'by ear'"),
]  # fmt: skip
SHOWN_KINDS: list[tuple[str, Make, str]] = [
    ("sound is missing", gone("1.flac"), "1 sounds of this page are missing or damaged"),
    ("sound is empty", content("1.flac", b""), "1 sounds of this page"),
    ("sound is text", content("1.flac", b"la la la"), "1 sounds of this page"),
    ("sound is cut off", cut_off("1.flac"), "1 sounds of this page"),
    ("sound is a link to itself", loop("1.flac"), "1 sounds of this page"),
    ("sound is a folder", as_folder("1.flac"), "1 sounds of this page"),
    ("question of a megabyte", item("question", "word " * 200_000), "word word"),
    ("question of markup", item("question", "<script>alert(1)</script>"), "&lt;script&gt;"),
    ("half a character", item("question", "a \ud800 b"), "a ? b"),
    ("reject of a megabyte", report("corpus", "rejects", "rows", to=[LONG]), "so so"),
    (
        "ten thousand rejects",
        report("corpus", "rejects", "rows", to=MANY),
        "9799 more in rejects.jsonl",
    ),
    ("no items at all", content("items.jsonl", b""), 'id="scores"'),
    ("older report without codec", report("codec", to=...), 'id="scores"'),
    ("unknown figure", report("accuracy", "s2s_new", to=FIGURE), "s2s_new"),
]


@pytest.mark.parametrize(("name", "make", "words"), KINDS, ids=[kind[0] for kind in KINDS])
def test_damaged_evaluation_is_refused_by_name(tmp_path, name, make, words):
    folder = write_evaluation(tmp_path / "saved")
    make(folder)
    with pytest.raises(ValueError) as refused:
        open_evaluation(folder, tmp_path)
    assert words in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(("name", "make", "words"), SUITE_KINDS, ids=[k[0] for k in SUITE_KINDS])
def test_damaged_suite_is_refused_by_name(tmp_path, name, make, words):
    rows = [{"id": "a", "value": 1}, {"id": "b", "value": 0}]
    folder = write_suite(tmp_path / "suite", rows)
    make(folder)
    with pytest.raises(ValueError) as refused:
        open_evaluation(folder, tmp_path)
    assert words in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(("name", "make", "words"), SHOWN_KINDS, ids=[k[0] for k in SHOWN_KINDS])
def test_what_is_broken_is_left_out_of_the_page_and_counted(tmp_path, name, make, words):
    folder = write_evaluation(tmp_path / "saved")
    make(folder)
    page = report_page([Subject("saved", open_evaluation(folder, tmp_path))])
    assert words in page
    assert len(page) < 400_000
    assert "<script>alert" not in page
    page.encode()


RUN_KINDS: list[tuple[str, str, str]] = [
    ("unknown id", "0123456789abcdef", "no run '0123456789abcdef'"),
    ("unknown version", "v99", "no model version 99; registered are none"),
    ("unknown alias", "king", "'king': moss-speech has no such alias"),
    ("empty name", "", "run '' cannot be read"),
    ("too short", "ab1", "'ab1': moss-speech has no such alias"),
    ("query in the name", "abcd' or '1' = '1", "cannot be read, must be a run id"),
    ("wildcard", "abcd%", "cannot be read, must be a run id"),
    ("way out of the project", "../../etc", "cannot be read, must be a run id"),
    ("negative version", "-3", "cannot be read, must be a run id"),
    ("folder without evaluation", ".", "holds no evaluation"),
    ("latest of nothing", "latest", "metrics.json does not exist"),
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("name", "run", "words"), RUN_KINDS, ids=[k[0] for k in RUN_KINDS])
def test_run_that_cannot_be_found_is_refused(name, run, words):
    with pytest.raises(ValueError) as refused:
        find_subject(run)
    assert words in str(refused.value)


@pytest.mark.usefixtures("store")
def test_run_without_an_evaluation_or_with_lost_artifacts_says_so(tmp_path):
    with pipeline_run({}) as parent:
        pass
    with pytest.raises(ValueError, match="has no evaluation: neither it nor its stage evaluate"):
        find_subject(parent)
    folder = write_evaluation(tmp_path / "evaluation")
    with stage_run("evaluate") as tracker:
        tracker.artifact(folder)
    found = find_subject(tracker.run_id)
    for path in sorted(found.evaluation.folder.rglob("*"), reverse=True):
        path.unlink()
    with pytest.raises(ValueError, match="has no evaluation"):
        find_subject(tracker.run_id)


@pytest.mark.usefixtures("store")
def test_beginning_of_several_runs_is_refused_with_their_ids():
    with pipeline_run({}) as first, pipeline_run({}) as second:
        pass
    with pytest.raises(ValueError, match="stands for several") as refused:
        by_prefix("")
    assert first in str(refused.value)
    assert second in str(refused.value)


def test_kinds_of_bad_reports_are_counted(capsys):
    tables = (KINDS, SUITE_KINDS, SHOWN_KINDS, RUN_KINDS)
    names = [kind[0] for table in tables for kind in table]
    assert len(set(names)) == len(names) >= 60
    print(f"{len(names)} kinds of bad input to reports")
