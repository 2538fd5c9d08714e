"""Damaged and hostile suites: each is refused by file, line, value and what is allowed.

What is wrong with a single recording only when it is heard leaves its item out with the reason
(tests/evaluation/benchmarks/test_run.py).
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from moss_speech.audio import write_audio
from moss_speech.evaluation.benchmarks.items import open_suite
from moss_speech.evaluation.benchmarks.run import How, run_suite
from moss_speech.evaluation.benchmarks.subject import Subject
from moss_speech.params.suite import GREEDY
from tests.evaluation.benchmarks.folders import (
    CHOICE,
    CHOICE_ROWS,
    CODEC,
    CODEC_ROWS,
    INSTRUCTION_ROWS,
    INSTRUCTIONS,
    QA,
    QA_ROWS,
    write_suite,
)
from tests.tiny_bundle import tiny_bundle

Make = Callable[[Path], object]
GOOD = {
    "qa": (QA, QA_ROWS),
    "choice": (CHOICE, CHOICE_ROWS),
    "instructions": (INSTRUCTIONS, INSTRUCTION_ROWS),
    "codec": (CODEC, CODEC_ROWS),
}


def about(kind: str = "qa", **changes: Any) -> Make:
    """A suite with other lines in its description; None leaves one out."""

    def make(folder: Path) -> None:
        described, rows = copy.deepcopy(GOOD[kind])
        described = {k: v for k, v in (described | changes).items() if v is not None}
        write_suite(folder, described, rows)

    return make


def row(kind: str = "qa", **changes: Any) -> Make:
    """A suite whose last row has other values; None leaves one out."""

    def make(folder: Path) -> None:
        described, rows = copy.deepcopy(GOOD[kind])
        last = {k: v for k, v in (rows[-1] | changes).items() if v is not None}
        write_suite(folder, described, [*rows[:-1], last])

    return make


def spoken(name: str, content: bytes | None = None, kind: str = "qa") -> Make:
    """A suite whose last question is a recording of this name and content."""

    def make(folder: Path) -> None:
        described, rows = copy.deepcopy(GOOD[kind])
        described["item"] = described["item"] | {"audio": "{audio}"}
        for place, one in enumerate(rows):
            one["audio"] = f"good-{place}.wav"
        rows[-1]["audio"] = name
        write_suite(folder, described, rows)
        for place in range(len(rows)):
            write_audio(folder / f"good-{place}.wav", np.ones(1600, np.float32) * 0.1, 16000)
        if content is not None:
            (folder / name).write_bytes(content)

    return make


def table(content: bytes, name: str = "items.jsonl", **of_table: Any) -> Make:
    """A suite whose table holds these bytes."""

    def make(folder: Path) -> None:
        write_suite(folder, QA | {"table": {"file": name, **of_table}}, [])
        (folder / name).write_bytes(content)

    return make


def description(content: bytes) -> Make:
    def make(folder: Path) -> None:
        write_suite(folder, QA, QA_ROWS)
        (folder / "suite.yaml").write_bytes(content)

    return make


def gold(*lines: str) -> Make:
    """A suite of minimal pairs with a row a side."""

    def make(folder: Path) -> None:
        pairs = {"by": ["id"], "correct": "correct"}
        item = {"options": ["{right.word}", "{wrong.word}"], "right": "1"}
        described = CHOICE | {"table": {"file": "gold.csv", "pairs": pairs}, "item": item}
        write_suite(folder, described, [])
        (folder / "gold.csv").write_text("\n".join(("id,word,correct", *lines)))

    return make


def without(name: str) -> Make:
    def make(folder: Path) -> None:
        write_suite(folder, QA, QA_ROWS)
        (folder / name).unlink()

    return make


def empty_wav(folder: Path) -> None:
    spoken("empty.wav")(folder)
    write_audio(folder / "empty.wav", np.zeros(0, np.float32), 16000)


GOOD_LINE = json.dumps(QA_ROWS[0]).encode() + b"\n"
TWICE = "".join(json.dumps(r) + "\n" for r in [*QA_ROWS, QA_ROWS[0]]).encode()
DEEP = b"[" * 100_000
ALIASES = [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}' if n else 'x'])}]" for n in range(30)]
BOMB = "\n".join(ALIASES).encode()
CHECK = {"kind": "words", "at_most": 3}
KINDS: list[tuple[str, Make, str]] = [
    ("no description", without("suite.yaml"), "holds no suite.yaml"),
    ("no table", without("items.jsonl"), "items.jsonl does not exist"),
    ("description is no YAML", description(b"kind: [qa"), "suite.yaml is not YAML"),
    ("description is a list", description(b"- qa"), "holds a list, must hold a mapping"),
    ("description repeats a key", description(b"kind: qa\nkind: qa\n"), "kind"),
    ("kind of endless aliases", description(BOMB + b"\nkind: *a29"), "must be one of qa, instr"),
    ("name of endless aliases", description(b"kind: qa\n" + BOMB + b"\nname: *a29"),
     "name is [["),
    ("unknown kind", description(b"kind: quiz\n"), "is 'quiz'"),
    ("misspelt key", about(rotes=["t2t"]), "suite.yaml: rotes"),
    ("no licence", about(licence=None), "licence is missing"),
    ("empty licence", about(licence=""), "licence is ''"),
    ("name leads elsewhere", about(name="../../etc"), "name is '../../etc'"),
    ("language in words", about(language="english"), "language is 'english'"),
    ("unknown route", about(routes=["s2x"]), "'s2x'"),
    ("no route", about(routes=[]), "routes is []"),
    ("a route twice", about(routes=["t2t", "t2t"]), "must all be different"),
    ("temperature below zero", about(decoding={
        "temperature": -1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "min_rows": 0,
        "max_rows": 9}), "temperature is -1.0"),
    ("decoding left half out", about(decoding={"temperature": 0.0}), "top_k is missing"),
    ("too few resamples", about(resamples=1), "resamples is 1"),
    ("confidence of one", about(confidence=1.0), "confidence is 1.0"),
    ("unknown synthesiser", about(speakers=[{"synthesizer": "x", "voice": "y"}]), "is 'x'"),
    ("table outside", about(table={"file": "../items.jsonl"}), "leads out of the suite"),
    ("table by a root path", about(table={"file": "/etc/passwd"}), "leads out of the suite"),
    ("table of another kind", table(b"x", "items.xlsx"), "must end in .jsonl"),
    ("empty table", table(b""), "holds 0 items"),
    ("blank lines only", table(b"\n\n\n"), "holds 0 items"),
    ("line is no JSON", table(GOOD_LINE + b"{id: 1}\n"), "items.jsonl line 2 is not JSON"),
    ("line is cut off", table(GOOD_LINE + GOOD_LINE[:20]), "items.jsonl line 2 is not JSON"),
    ("line is a list", table(GOOD_LINE + b"[1]\n"), "line 2 holds a list, must hold an object"),
    ("line nests too deep", table(GOOD_LINE + DEEP), "items.jsonl line 2 is not JSON"),
    ("mixed encodings", table(GOOD_LINE + "é".encode("latin-1")), "items.jsonl is not UTF-8"),
    ("JSON holds no list", table(b'{"id": 1}', "items.json"), "must hold a list"),
    ("CSV with a short row", table(b"id,question,answers\n1,what\n", "a.csv"),
     "a.csv line 2 has 2 columns, must have 3"),
    ("CSV with a column twice", table(b"id,id\n1,2\n", "a.csv"), "names a column twice"),
    ("CSV with an open quote", table(b'id,question,answers\n1,"what,x\n', "a.csv"),
     "cannot be read"),
    ("CSV of a header only", table(b"id,question,answers\n", "a.csv"), "holds 0 items"),
    ("list file with a bar too many", table(b"1|what|a|b\n", "a.lst",
     header=["id", "question", "answers"]), "line 1 has 4 columns, must have 3"),
    ("separator of two signs", about(table={"file": "a.csv", "separator": "||"}), "separator"),
    ("an id twice", table(TWICE), "items.jsonl line 4: id 'grass' occurs twice"),
    ("an id of 1 MB", row(id="x" * 10**6), "has 1000000 characters, must have at most 20000"),
    ("an id of 300 signs", row(id="x" * 300), "an id has 300 characters"),
    ("an id that is empty", row(id=""), "line 3: column 'id' is empty"),
    ("an id that is a list", row(id=["a"]), "must be text or a number"),
    ("column is missing", row(question=None), "line 3 has no column 'question'; it has"),
    ("part of a column that has no parts", about(item={
        "question": "{question.text}", "answers": "{answers}"}), "no column 'question.text'"),
    ("question of blanks", row(question="   "), "line 3: {question} is empty"),
    ("question of 1 MB", row(question="a" * 2**20), "1048576 characters"),
    ("no answers", row(answers=[]), "line 3: there are 0 answers"),
    ("answers are a number", row(answers=3), "line 3: {answers} is 3, must be a list"),
    ("answers in plain text", row(answers="blue"), "must be a list"),
    ("answer of marks only", row(answers=["blue", "?!"]), "line 3: '?!' holds no word"),
    ("answer is empty", row(answers=[""]), "line 3: '' holds no word"),
    ("recording is missing", spoken("nowhere.wav"), "nowhere.wav does not exist"),
    ("recording outside", spoken("../../secret.wav"), "leads out of the suite"),
    ("recording by a root path", spoken("/etc/passwd"), "leads out of the suite"),
    ("recording with NUL in its name", spoken("a\0.wav"), "leads out of the suite"),
    ("recording is a folder", spoken("."), "does not exist"),
    ("recording is text", spoken("a.wav", b"hello, I am text"), "is not readable audio"),
    ("recording of no bytes", spoken("a.wav", b""), "is not readable audio"),
    ("recording of a header only", spoken("a.flac", b"fLaC"), "is not readable audio"),
    ("recording without samples", empty_wav, "holds 0 samples"),
    ("nobody reads a spoken question", about(speakers=[]), "line 1: the question has no recording"),
    ("typed route without text", about(item={"id": "{id}", "answers": "{answers}"}),
     "line 1: the question has no text"),
    ("options fewer than labels", about("choice", labels=["1", "2", "3"]),
     "line 1: there are 2 options, must be 3"),
    ("one label only", about("choice", labels=["1"]), "labels"),
    ("labels alike", about("choice", labels=["1", "1"]), "must all be different"),
    ("right one is none of the labels", row("choice", right=3), "right is '3', must be one of 1"),
    ("option is empty", row("choice", second=""), "line 2: column 'second' is empty"),
    ("chat without a context", about("choice", form="chat", item={
        "options": ["{first}", "{second}"], "right": "{right}"}), "there is no context"),
    ("spoken question that is none", about("choice", routes=["s2t"], speakers=[], item={
        "options": ["{first}", "{second}"], "right": "{right}"}), "there is no context"),
    ("counts by neither", about("choice", counts="best"), "counts is 'best'"),
    ("no checks", row("instructions", checks=[]), "line 1: there are 0 checks"),
    ("unknown check", row("instructions", checks=[{"kind": "nice"}]), "checks.0"),
    ("check with a bound below zero", row("instructions", checks=[CHECK | {"at_most": -1}]),
     "is -1"),
    ("check with bounds crossed", row("instructions", checks=[CHECK | {"at_least": 9}]),
     "at_least is 9"),
    ("check with an empty phrase", row("instructions", checks=[
        {"kind": "contains", "phrases": [""]}]), "phrases.0 is ''"),
    ("form is asked of speech", lambda folder: write_suite(
        folder, INSTRUCTIONS | {"routes": ["t2s"]},
        [{"id": "a", "question": "q", "checks": [{"kind": "form", "form": "json"}]}]),
     "check 'form' cannot be heard"),
    ("pair of one row", gold("1,a,1"), "gold.csv line 2: 1 has one row"),
    ("pair of two right rows", gold("1,a,1", "1,b,1"), "line 3: 1 has a second right row"),
    ("pair marked by a word", gold("1,a,yes"), "line 2: correct is 'yes', must be 0 or 1"),
    ("pair without a mark", gold("1,a,"), "line 2: column 'correct' is empty"),
    ("codec passage without words", row("codec", text="..."), "'...' holds no word"),
    ("codec prompt by nobody", about("codec", speakers=[]), "the passage has no recording"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_bad_suite_is_refused_by_name(make: Make, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    make(folder)
    with pytest.raises(ValueError, match="") as refused:
        open_suite(folder)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 20_000


@pytest.mark.parametrize("kind", GOOD)
def test_the_suites_that_are_damaged_here_are_good_without_damage(
    kind: str, tmp_path: Path
) -> None:
    assert open_suite(write_suite(tmp_path, *GOOD[kind])).about.kind == kind


def test_kinds_are_all_different() -> None:
    assert len({name for name, _, _ in KINDS}) == len(KINDS) >= 30
    assert yaml.safe_load(yaml.safe_dump(QA)) == QA


def _wav(samples: Any, rate_hz: int = 16000) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        soundfile.write(path, np.asarray(samples, np.float32), rate_hz, "FLOAT", format="WAV")

    return make


def _cut_off(path: Path) -> None:
    write_audio(path, HUM, 16000, format="FLAC")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


HUM = (0.3 * np.sin(np.arange(16000) / 9)).astype(np.float32)
WITH_NAN, WITH_INF = HUM.copy(), HUM.copy()
WITH_NAN[77], WITH_INF[77] = np.nan, np.inf
UNHEARD: list[tuple[str, Callable[[Path], None], str]] = [
    ("silence", _wav(np.zeros(16000)), "silent"),
    ("too short", _wav(HUM[:1600]), "must be 0.2..30 s"),
    ("too long", _wav(np.tile(HUM, 31)), "must be 0.2..30 s"),
    ("NaN", _wav(WITH_NAN), "NaN"),
    ("infinity", _wav(WITH_INF), "infinite"),
    ("beyond all levels", _wav(HUM * 1e9), "must be at most 1e+06"),
    ("a rate nobody has", _wav(HUM, 1000), "must have 4000..192000"),
    ("cut off", _cut_off, "a.wav"),
    ("one sample", _wav(HUM[:1]), "must be 0.2..30 s"),
]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("model")
    return Subject.open(tiny_bundle(folder), "tiny", folder / "voices")


@pytest.mark.parametrize(
    ("make", "words"), [k[1:] for k in UNHEARD], ids=[k[0] for k in UNHEARD]
)  # fmt: skip
def test_recording_that_is_no_question_is_left_out_and_the_rest_goes_through(
    make: Callable[[Path], None], words: str, subject: Subject, tmp_path: Path
) -> None:
    decoding = GREEDY.model_dump() | {"max_rows": 3}
    item = {"id": "{id}", "audio": "{audio}", "answers": ["green"]}
    described = QA | {"routes": ["s2t"], "item": item, "decoding": decoding}
    names = ("good.wav", "a.wav", "good.wav")
    rows = [{"id": str(n), "audio": name} for n, name in enumerate(names)]
    suite = write_suite(tmp_path / "suite", described, rows)
    write_audio(suite / "good.wav", HUM, 16000)
    make(suite / "a.wav")
    how = How(0, None, tmp_path / "spoken")
    report = run_suite(open_suite(suite), subject, how, tmp_path / "out")
    assert [row["id"] for row in report["left_out"]] == ["s2t/1"]
    assert words in report["left_out"][0]["reason"]
    assert report["cells"]["s2t"]["accuracy"]["n"] == 2
