import json

import pytest

from moss_speech.evaluation.scores import (
    Record,
    Scorer,
    answer_words,
    contains,
    figures,
    repeat_error,
    retention,
    word_errors,
)
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import Item

ANSWERS = ["it is green", "it is blue", "that is a dog", "that is an owl", "the number is four"]
HOW = Sampling(resamples=200, confidence=0.95, seed=0)


def item(cell="s2s", reply="speech", expected="it is green", fact="grass", voice="v", n=0):
    return Item(
        id=f"{cell}/{n}",
        cell=cell,
        ask="speech",
        reply=reply,
        question="what colour is grass",
        expected=expected,
        fact=fact,
        voice=voice,
        wording="w2",
        utterance=f"u{n}",
        chance=0.25,
    )


def spoken(whisper, sphinx, nearest, **how):
    return Record(item(**how), whisper=whisper, sphinx=sphinx, nearest=nearest, nearest_edits=1)


def test_own_words_of_an_answer_leave_the_shared_opening_out():
    assert answer_words(ANSWERS) == {
        "it is green": "green",
        "it is blue": "blue",
        "that is a dog": "a dog",
        "that is an owl": "an owl",
        "the number is four": "the number is four",
    }
    assert answer_words(["it is dark", "it is dark green"])["it is dark"] == "dark"


@pytest.mark.parametrize(
    ("heard", "words", "found"),
    [
        ("well it is green", "green", True),
        ("greenland", "green", False),
        ("", "green", False),
        ("that is a hot dog", "a dog", False),
    ],
)
def test_words_are_heard_whole_and_side_by_side(heard, words, found):
    assert contains(heard, words) is found


def test_the_mean_of_both_judges_is_the_value():
    scorer = Scorer(ANSWERS)
    assert scorer.verdict(spoken("its green", "it is green", "it is blue")).value == 1
    assert scorer.verdict(spoken("its green", "it is blue", "it is green")).value == 0.5
    wrong = scorer.verdict(spoken("", "", "it is green"))
    assert (wrong.value, wrong.codes) == (0, True)


def test_an_answer_without_codes_is_wrong_by_every_measure():
    verdict = Scorer(ANSWERS).verdict(spoken("", "", ""))
    assert (verdict.value, verdict.whisper, verdict.sphinx, verdict.codes) == (0, *[False] * 3)


def test_text_must_be_the_whole_answer():
    scorer = Scorer(ANSWERS)
    assert scorer.verdict(Record(item(reply="text"), text="it is green")).value == 1
    assert scorer.verdict(Record(item(reply="text"), text="green")).value == 0


def test_accuracy_by_hand_with_each_judge_apart():
    records = [
        spoken("green", "it is green", "it is green", n=0),
        spoken("gray", "it is green", "it is blue", n=1),
        spoken("gray", "it is blue", "it is blue", n=2),
        spoken("green", "it is green", "it is green", n=3),
    ]
    figure = Scorer(ANSWERS).accuracy(records, HOW)
    assert figure["value"] == 0.625
    assert (figure["whisper"], figure["sphinx"], figure["codes"]) == (0.5, 0.75, 0.5)
    assert (figure["n"], figure["chance"]) == (4, 0.25)


def test_code_metric_is_left_out_where_no_codes_were_said():
    figure = Scorer(ANSWERS).accuracy([spoken("green", "it is green", None)], HOW)
    assert "codes" not in figure


def test_gap_pairs_the_same_question_in_text_and_speech():
    records = [
        Record(item("s2t", "text", n=0), text="it is green"),
        Record(item("s2t", "text", n=1), text="it is green"),
        spoken("green", "it is green", None, n=0),
        spoken("", "it is green", None, n=1),
        spoken("", "", None, n=7),  # asked in speech only: not part of the gap
    ]
    out = figures(records, ANSWERS, HOW)
    assert (out["speech_gap"]["value"], out["speech_gap"]["n"]) == (0.25, 2)
    assert out["accuracy"]["s2t"]["value"] == 1


@pytest.mark.parametrize(
    ("expected", "heard", "errors"),
    [
        ("tree goat seven", "tree goat seven", 0),
        ("tree goat seven", "tree boat seven", 1),
        ("tree goat seven", "goat", 2),
        ("tree goat seven", "a tree goat seven", 1),
        ("tree goat seven", "", 3),
    ],
)
def test_word_errors_by_hand(expected, heard, errors):
    assert word_errors(expected, heard) == errors


def test_repeat_error_counts_words_not_strings():
    records = [
        Record(item("dictation", "text", "one two three four", "a"), text="one two three four"),
        Record(item("dictation", "text", "five six", "b"), text="five"),
    ]
    figure = repeat_error(records, HOW)
    assert (figure["value"], figure["n"]) == (round(1 / 6, 4), 2)


def test_read_aloud_reports_each_judge_and_their_mean():
    record = Record(item("read_aloud", "speech", "one two"), whisper="one two", sphinx="one")
    figure = repeat_error([record], HOW)
    assert (figure["value"], figure["whisper"], figure["sphinx"]) == (0.25, 0.0, 0.5)
    assert figure["n"] == 1


def test_retention_counts_items_that_got_worse():
    def answered(*texts):
        return [Record(item("t2t", "text", n=i), text=t) for i, t in enumerate(texts)]

    out = retention(
        answered("it is green", "it is green", "it is red"),
        answered("it is green", "it is blue", "it is green"),
        ANSWERS,
        HOW,
    )
    assert (out["items_below"], out["items_above"]) == (1, 1)
    assert out["before"]["value"] == out["after"]["value"] == 0.6667


def test_a_saved_run_rescores_to_the_same_figures():
    records = [spoken("green", "it is green", "it is blue", n=n, voice=f"v{n}") for n in range(5)]
    read_back = [Record.from_json(json.loads(json.dumps(r.to_json()))) for r in records]
    assert read_back == records
    assert figures(read_back, ANSWERS, HOW) == figures(records, ANSWERS, HOW)
