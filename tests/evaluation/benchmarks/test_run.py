"""Whole runs of small suites on a small model with random weights, through its real parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from moss_speech.audio import read_audio, write_audio
from moss_speech.evaluation.benchmarks.items import Said, open_suite
from moss_speech.evaluation.benchmarks.run import How, drawn, rescore, run_suite
from moss_speech.evaluation.benchmarks.speaking import Readers
from moss_speech.evaluation.benchmarks.subject import Subject
from moss_speech.evaluation.pages.paired import differences
from moss_speech.evaluation.pages.report import report_markdown, report_page
from moss_speech.evaluation.pages.saved import open_evaluation
from moss_speech.evaluation.pages.subject import Subject as Shown
from moss_speech.lm.likelihood import Continuation, likelihoods
from moss_speech.params.suite import Speaker
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
from tests.small_release import write_lm
from tests.tiny_bundle import tiny_bundle

HOT = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "min_rows": 0,
    "max_rows": 12,
}  # fmt: skip
SHORT = HOT | {"temperature": 0.0}


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return Subject.open(tiny_bundle(folder), "models/tiny", folder / "voices")


def run(about, rows, subject, tmp_path: Path, out="out", seed=0, **how):
    suite = open_suite(write_suite(tmp_path / "suite", about, rows))
    chosen = {"items": None, "spoken": tmp_path / "spoken"} | how
    return run_suite(suite, subject, How(seed=seed, **chosen), tmp_path / out)


def files(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_answers(subject, tmp_path):
    quiz = QA | {"decoding": HOT, "recogniser": "whisper-tiny.en"}
    run(quiz, QA_ROWS, subject, tmp_path, "one", seed=5)
    run(quiz, QA_ROWS, subject, tmp_path, "two", seed=5)
    run(quiz, QA_ROWS, subject, tmp_path, "other", seed=6)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    answers = [(tmp_path / name / "answers.jsonl").read_bytes() for name in ("one", "other")]
    assert answers[0] != answers[1]


def test_report_names_everything_that_a_reader_needs(subject, tmp_path):
    quiz = QA | {
        "decoding": SHORT, "recogniser": "whisper-tiny.en", "system": {"text": "Answer shortly."}
    }  # fmt: skip
    report = run(quiz, QA_ROWS, subject, tmp_path)
    assert report["prompts"]["s2t"] == "Answer shortly."
    assert report["prompts"]["s2s"].startswith("You are a helpful voice assistant.")
    assert report["suite"]["decoding"]["max_rows"] == 12
    assert report["recogniser"]["name"] == "whisper-tiny.en"
    assert "ctranslate2" in report["recogniser"]["version"]
    assert "digits spelt out" in report["normalisation"]
    assert report["model"]["digest"] == subject.digest
    assert report["n_items"] == 3
    for cell in report["cells"].values():
        assert cell["accuracy"]["n"] == 3
        assert len(cell["accuracy"]["ci95"]) == 2
    assert report["speech_gap"]["n"] == 3
    rows = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").open()]
    spoken = [row for row in rows if row["cell"] == "s2s" and row["codes"]]
    assert spoken
    assert all((tmp_path / "out" / row["audio"]).is_file() for row in spoken)
    assert {row["voice"] for row in rows} == {"typed", "espeak-ng:en-us+f4"}


def test_run_that_was_cut_off_goes_on_where_it_was(subject, tmp_path):
    quiz = QA | {"decoding": SHORT, "routes": ["t2t", "s2t"]}
    whole = run(quiz, QA_ROWS, subject, tmp_path, "whole")
    run(quiz, QA_ROWS, subject, tmp_path, "cut")
    answers = tmp_path / "cut" / "answers.jsonl"
    lines = answers.read_text().splitlines(keepends=True)
    assert len(lines) == 2
    marked = lines[0].replace('"finish": "length"', '"finish": "marked"')
    answers.write_text(marked + lines[1][:40])  # killed while it wrote the second line
    (tmp_path / "cut" / "report.json").unlink()
    assert run(quiz, QA_ROWS, subject, tmp_path, "cut") == whole | {
        "cells": whole["cells"] | {"t2t": whole["cells"]["t2t"] | {"cut_off": 0}}
    }
    after = answers.read_text().splitlines(keepends=True)
    assert after[0] == marked  # taken as it was, not asked again
    assert after[1] == lines[1]


def test_folder_of_another_run_is_refused_unless_forced(subject, tmp_path):
    quiz = QA | {"decoding": SHORT, "routes": ["t2t"]}
    run(quiz, QA_ROWS, subject, tmp_path, seed=1)
    with pytest.raises(ValueError, match=r"another run \(seed changed\)"):
        run(quiz, QA_ROWS, subject, tmp_path, seed=2)
    with pytest.raises(ValueError, match="suite, suite_digest changed"):
        run(quiz | {"match": "phrase"}, QA_ROWS, subject, tmp_path, seed=1)
    assert run(quiz, QA_ROWS, subject, tmp_path, seed=2, force=True)["seed"] == 2


def test_a_run_is_opened_as_a_page_and_compared(subject, tmp_path):
    quiz = QA | {"decoding": SHORT, "recogniser": "whisper-tiny.en"}
    report = run(quiz, QA_ROWS, subject, tmp_path, "one")
    run(quiz, QA_ROWS, subject, tmp_path, "two", seed=1)
    both = [Shown(n, open_evaluation(tmp_path / n, tmp_path)) for n in ("one", "two")]
    evaluation = both[0].evaluation
    assert (evaluation.name, len(evaluation.items)) == ("quiz", 12)
    for cell, found in report["cells"].items():
        items = [item for item in evaluation.items if item.cell == cell]
        assert sum(item.part for item in items) / 3 == found["accuracy"]["value"]
    assert all(x.question_audio.is_file() for x in evaluation.items if x.cell == "s2s")
    page = report_page(both[:1])
    assert "what color is the grass" in page and report["suite_digest"] in page
    assert "(`t2t`)" in report_markdown(both[:1])
    assert [(d.n, d.n_apart) for d in differences(*(s.evaluation for s in both))] == [(3, 0)] * 4
    assert "two" in report_page(both)


def test_saved_run_is_judged_again_without_a_model(subject, tmp_path):
    quiz = QA | {"decoding": SHORT, "recogniser": "whisper-tiny.en"}
    report = run(quiz, QA_ROWS, subject, tmp_path)
    before = files(tmp_path / "out")
    (tmp_path / "out" / "items.jsonl").unlink()
    (tmp_path / "out" / "report.json").unlink()
    assert rescore(tmp_path / "out") == report
    assert files(tmp_path / "out") == before
    other = rescore(tmp_path / "out", "whisper-base")
    assert other["recogniser"]["name"] == "whisper-base"
    assert files(tmp_path / "out")["answers.jsonl"] == before["answers.jsonl"]


def test_rescoring_follows_the_answers_on_disk(subject, tmp_path):
    quiz = QA | {"decoding": SHORT, "routes": ["t2t"]}
    run(quiz, QA_ROWS, subject, tmp_path)
    path = tmp_path / "out" / "answers.jsonl"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([row | {"text": "Green, I think."} for row in rows]) + "\n")
    accuracy = rescore(tmp_path / "out")["cells"]["t2t"]["accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (0.3333, 3)


def test_item_that_cannot_be_heard_is_left_out_with_its_reason(subject, tmp_path):
    quiz = QA | {
        "decoding": SHORT, "routes": ["s2t"],
        "item": QA["item"] | {"audio": "{audio}"},
    }  # fmt: skip
    suite = write_suite(tmp_path / "suite", quiz, [])
    write_audio(suite / "silent.wav", np.zeros(16000, np.float32), 16000)
    write_audio(suite / "short.wav", np.full(100, 0.1, np.float32), 16000)
    hum = 0.3 * np.sin(np.arange(16000) / 9).astype(np.float32)
    write_audio(suite / "hum.wav", hum, 16000)
    names = ("silent.wav", "short.wav", "hum.wav")
    rows = [row | {"audio": name} for row, name in zip(QA_ROWS, names, strict=True)]
    report = run(quiz, rows, subject, tmp_path)
    reasons = {row["id"]: row["reason"] for row in report["left_out"]}
    assert set(reasons) == {"s2t/grass", "s2t/next"}
    assert "silent" in reasons["s2t/grass"]
    assert "must be 0.2..30 s" in reasons["s2t/next"]
    assert report["cells"]["s2t"]["accuracy"]["n"] == 1


def test_suite_of_which_nothing_can_be_asked_says_why(subject, tmp_path):
    rows = [QA_ROWS[0] | {"question": "what " * 4000}]
    with pytest.raises(ValueError, match="no item could be asked; the first: the prompt has"):
        run(QA | {"routes": ["t2t"], "decoding": SHORT}, rows, subject, tmp_path)


def test_question_that_is_too_long_does_not_stop_its_neighbours(subject, tmp_path):
    rows = [QA_ROWS[0], QA_ROWS[1] | {"question": "what " * 3000}]
    report = run(QA | {"routes": ["t2t"], "decoding": SHORT}, rows, subject, tmp_path)
    assert [row["id"] for row in report["left_out"]] == ["t2t/next"]
    assert report["cells"]["t2t"]["accuracy"]["n"] == 1


def test_items_are_drawn_by_the_seed_in_their_own_order(subject, tmp_path):
    suite = open_suite(write_suite(tmp_path / "suite", QA, QA_ROWS))
    assert drawn(suite.items, None, 0) == list(suite.items)
    two = drawn(suite.items, 2, 0)
    assert two == drawn(suite.items, 2, 0)
    assert [suite.items.index(item) for item in two] == sorted(map(suite.items.index, two))
    assert any(drawn(suite.items, 2, seed) != two for seed in range(9))
    report = run(QA | {"routes": ["t2t"], "decoding": SHORT}, QA_ROWS, subject, tmp_path, items=2)
    assert report["n_items"] == 2


def test_text_options_are_judged_after_their_context(subject, tmp_path):
    report = run(CHOICE, CHOICE_ROWS, subject, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").open()]
    ids, encode = subject.lm.config.ids, subject.tokenizer.encode
    assert encode("it is")[:1] != encode("what")[:1]
    expected = [
        Continuation(
            _text(subject, [ids.im_start, *encode("what color is the grass")]),
            _text(subject, encode(option)),
        )
        for option in ("it is green", "it is")
    ]
    found = [round(f.log_prob, 6) for f in likelihoods(subject.lm, expected)]
    assert rows[0]["log_probs"] == found
    assert rows[0]["value"] == float(found[0] > found[1])
    assert report["cells"]["t2t"]["chance"] == 0.5


def _text(subject, ids):
    return np.array([(i, subject.lm.config.ids.audio_pad) for i in ids], np.int64)


def test_speech_options_are_judged_by_their_codes(subject, tmp_path):
    item = {"id": "{id}", "options": ["{first}", "{second}"], "right": "{right}"}
    about = CHOICE | {"routes": ["s2s"], "item": item}
    run(about, CHOICE_ROWS, subject, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").open()]
    ids = subject.lm.config.ids
    codec, texts = subject.parts.codec, ("it is green", "it is")
    readers = Readers([Speaker(**CHOICE["speakers"][0])], tmp_path / "spoken")
    heard = [read_audio(readers.file(Said(text, None), "a"), 16000) for text in texts]
    spoken = [
        np.array([(ids.modality_pad, code) for code in codec.encode([samples_S])[0]], np.int64)
        for samples_S in heard
    ]
    opening = _text(subject, [ids.im_start, ids.sosp])
    found = likelihoods(subject.lm, [Continuation(opening, rows_TC) for rows_TC in spoken])
    assert rows[0]["log_probs"] == [round(f.log_prob, 6) for f in found]
    assert rows[0]["n_rows"] == [len(rows_TC) for rows_TC in spoken]


@pytest.mark.parametrize("routes", [["s2t", "t2s", "s2s", "t2t"]])
@pytest.mark.parametrize("form", ["plain", "chat"])
def test_every_route_of_a_choice_gives_a_figure(form, routes, subject, tmp_path):
    report = run(CHOICE | {"routes": routes, "form": form}, CHOICE_ROWS, subject, tmp_path)
    assert set(report["cells"]) == set(routes)
    assert report["left_out"] == []


def test_items_judged_alone_or_with_others_have_equal_bits(subject, tmp_path):
    run(CHOICE, CHOICE_ROWS, subject, tmp_path, "both")
    run(CHOICE, CHOICE_ROWS[1:], subject, tmp_path, "one")
    both, one = (
        [json.loads(line) for line in (tmp_path / name / "items.jsonl").open()]
        for name in ("both", "one")
    )
    assert both[1] == one[0]


def test_instructions_and_codec_run_through_the_real_parts(subject, tmp_path):
    orders = run(
        INSTRUCTIONS | {"decoding": SHORT}, INSTRUCTION_ROWS, subject, tmp_path / "i"
    )["cells"]["t2t"]  # fmt: skip
    assert orders["accuracy"]["n"] == orders["checks"]["n"] == 1
    codec = run(CODEC | {"recogniser": "whisper-tiny.en"}, CODEC_ROWS, subject, tmp_path / "c")
    assert set(codec["cells"]) == {"truth", "resynthesis"}
    assert set(codec["cells"]["truth"]) == {"word_error", "similarity", "quality"}


def test_latency_is_measured_answer_by_answer(subject, tmp_path):
    about = {k: v for k, v in QA.items() if k != "routes"} | {
        "kind": "latency", "decoding": SHORT | {"min_rows": 5},
        "item": {"question": "{question}"},
    }  # fmt: skip
    found = run(about, QA_ROWS, subject, tmp_path)["cells"]["s2s"]
    assert found["first_audio_s"]["n"] == 3
    assert found["first_audio_s"]["value"] > 0
    assert set(found["median"]) == {"first_audio_s", "real_time_factor"}


def test_language_model_alone_judges_text_and_refuses_speech(tmp_path):
    subject = Subject.open(write_lm(tmp_path / "lm"), "lm", tmp_path / "voices")
    report = run(CHOICE, CHOICE_ROWS, subject, tmp_path)
    assert report["cells"]["t2t"]["accuracy"]["n"] == 2
    with pytest.raises(ValueError, match="set MOSS_CODEC"):
        run(CHOICE | {"routes": ["s2s"]}, CHOICE_ROWS, subject, tmp_path, "speech")
    with pytest.raises(ValueError, match="set MOSS_CODEC"):
        run(QA | {"routes": ["t2t"]}, QA_ROWS, subject, tmp_path, "quiz")


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no run of a suite"):
        rescore(tmp_path)
