"""`moss-speech evaluate MODEL --suite`, as it is typed."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.evaluation.benchmarks.items import open_suite
from moss_speech.params.suite import GREEDY, SUITES
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.settings import settings
from moss_speech.storage import file_digest, read_json, write_bytes
from tests.evaluation.benchmarks.folders import (
    CHOICE,
    CHOICE_ROWS,
    CODEC,
    CODEC_ROWS,
    QA,
    QA_ROWS,
    write_suite,
)
from tests.registry.candidates import GOOD
from tests.small_release import TERMS, write_codec, write_imported, write_lm, write_prompt
from tests.tiny_bundle import tiny_bundle
from tests.workspace import ROOT


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    monkeypatch.setenv("MOSS_ASSETS_FOLDER", str(ROOT / ".moss" / "assets"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_suites_are_asked_of_a_bundle_and_their_figures_printed(model, root):
    pairs = write_suite(root / "pairs", CHOICE, CHOICE_ROWS)
    quiz = write_suite(root / "quiz", QA | {"routes": ["t2t"]}, QA_ROWS)
    done = evaluate(model, "--suite", pairs, "--suite", quiz, "--items", 2)
    assert done.exit_code == 0, done.output
    assert f"pairs (choice, 2 items): {model}" in done.stdout
    assert "t2t          accuracy" in done.stdout
    assert "n 2)" in done.stdout
    for name in ("pairs", "quiz"):
        assert (root / "reports" / "suites" / name / "report.json").is_file()


def test_runs_below_a_folder_are_rescored_as_json(model, root):
    write_suite(root / "pairs", CHOICE, CHOICE_ROWS)
    first = evaluate(model, "--suite", root / "pairs", "--out", root / "out", "--json")
    again = evaluate("--rescore", root / "out", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert json.loads(first.stdout) == json.loads(again.stdout)


def test_language_model_alone_is_asked_what_it_can_answer(root):
    write_suite(root / "pairs", CHOICE, CHOICE_ROWS)
    lm = write_lm(root / "lm")
    done = evaluate(lm, "--suite", root / "pairs")
    assert done.exit_code == 0, done.output
    assert f"pairs (choice, 2 items): {lm}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models/bundle"], "--suite is missing"),
        (["--recogniser", "sphinx"], "--recogniser goes with --rescore"),
        (["--rescore", "reports", "--suite", "qa"], "leave MODEL and --suite out"),
        (["--rescore", "."], "holds no run of a suite"),
        (["m", "--suite", "nowhere"], "no suite 'nowhere'"),
    ],
)
def test_calls_that_make_no_sense_are_one_line(arguments, words):
    done = evaluate(*arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_suites_of_one_name_are_refused(model, root):
    for place in ("a", "b"):
        write_suite(root / place, CHOICE, CHOICE_ROWS)
    done = evaluate(model, "--suite", root / "a", "--suite", root / "b")
    assert "two suites have the name 'pairs'" in done.stderr


EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/suite.yaml"))


def test_there_is_an_example_of_every_kind():
    assert {open_suite(folder).about.kind for folder in EXAMPLES} == set(SUITES)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_example_is_named_as_its_folder(folder):
    suite = open_suite(folder)
    assert suite.about.name == folder.name
    assert len(suite.items) >= 4


def test_published_folders_are_asked_every_kind(root, monkeypatch):
    lm = write_lm(root / "lm")
    write_imported(root / "codec", write_codec(root / "released"))
    monkeypatch.setenv("MOSS_CODEC", str(root / "codec"))
    settings.cache_clear()
    passages = write_suite(root / "c", CODEC | {"recogniser": "whisper-tiny.en"}, CODEC_ROWS)
    choices = write_suite(root / "p", CHOICE | {"routes": ["t2t", "s2s"]}, CHOICE_ROWS)
    decoding = GREEDY.model_dump() | {"max_rows": 8}
    quiz = QA | {"decoding": decoding, "recogniser": "whisper-tiny.en"}
    write_suite(root / "q", quiz, QA_ROWS)
    asked = evaluate(lm, "--suite", choices, "--suite", passages)
    assert asked.exit_code == 0, asked.output  # no voice of its own is needed
    assert "resynthesis  word_error" in asked.stdout
    assert "has no voice" in evaluate(lm, "--suite", root / "q").stderr
    prompt = str(write_prompt(root / "ann.wav"))
    monkeypatch.setenv("MOSS_MODEL", str(lm))
    settings.cache_clear()
    added = CliRunner().invoke(app, ["voice", "add", "ann", prompt, *TERMS])
    assert added.exit_code == 0, added.output
    done = evaluate("--suite", root / "q", "--force")  # the model is that of MOSS_MODEL
    assert done.exit_code == 0, done.output
    assert f"quiz (qa, 3 items): {lm}" in done.stdout
    assert "speech_gap" in done.stdout


def test_registered_version_is_asked_by_its_address(model, store):
    report = store / "made" / "report"
    write_bytes(report / "report.html", b"<p>report</p>")
    version = register_candidate(Candidate(model, GOOD, report))
    address = f"models:/moss-speech/{version}"
    done = evaluate(address, "--suite", write_suite(store / "pairs", CHOICE, CHOICE_ROWS))
    assert done.exit_code == 0, done.output
    assert f"pairs (choice, 2 items): {address}" in done.stdout
    run = read_json(store / "reports" / "suites" / "pairs" / "run.json")
    assert run["model"] == {"address": address, "digest": file_digest(model / "card.json")}


@pytest.mark.slow
def test_killed_run_goes_on_and_ends_as_an_unbroken_one(model, root):
    decoding = GREEDY.model_dump() | {"max_rows": 40, "min_rows": 40}
    quiz = write_suite(root / "quiz", QA | {"decoding": decoding}, QA_ROWS)
    command = [
        sys.executable,
        "-m",
        "moss_speech.cli",
        "evaluate",
        str(model),
        "--suite",
        str(quiz),
    ]
    answers = root / "cut" / "quiz" / "answers.jsonl"
    with subprocess.Popen([*command, "--out", str(root / "cut")]) as cut:
        while cut.poll() is None and not (answers.is_file() and answers.stat().st_size):
            time.sleep(0.01)
        cut.kill()
    before = answers.read_bytes()
    assert 1 <= before.count(b"\n") < 4  # it was killed between the routes
    assert not (answers.parent / "report.json").exists()
    for folder in ("cut", "whole"):
        assert evaluate(model, "--suite", quiz, "--out", root / folder).exit_code == 0
    for name in ("answers.jsonl", "items.jsonl", "report.json"):
        cut_bytes = (answers.parent / name).read_bytes()
        assert cut_bytes == (root / "whole" / "quiz" / name).read_bytes()
    assert answers.read_bytes().startswith(before[: before.rindex(b"\n")])
