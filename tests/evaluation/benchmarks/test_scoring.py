"""Figures against arithmetic written beside them."""

import json

import pytest

from moss_speech.evaluation.benchmarks.answers import Answer
from moss_speech.evaluation.benchmarks.scoring import errors_of, figures, judge
from moss_speech.params.suite import (
    SUITES,
    ChoiceSuite,
    CodecSuite,
    InstructionSuite,
    LatencySuite,
    QaSuite,
)
from tests.evaluation.benchmarks.folders import CHOICE, CODEC, INSTRUCTIONS, QA

QUIZ = QaSuite(**QA)


def judged(answers, suite=QUIZ):
    return [judge(answer, suite) for answer in answers]


def answer(cell, fact, said, expected=("green",), **more):
    spoken = {"heard": said} if cell.endswith("s") else {"text": said}
    voice = "v" if cell.startswith("s") else "typed"
    return Answer(f"{cell}/{fact}", cell, fact, voice, expected=expected, **spoken, **more)


def test_accuracy_is_the_share_of_right_answers():
    rows = judged([answer("t2t", n, s) for n, s in enumerate(["green", "red", "it is green"])])
    found = figures(rows, QUIZ, 0)["cells"]["t2t"]["accuracy"]
    assert (found["value"], found["n"]) == (0.6667, 3)  # 2 of 3


def test_gap_pairs_the_items_that_both_routes_answered():
    rows = judged(
        [
            answer("s2t", "a", "green"),  # 1
            answer("s2t", "b", "green"),  # 1
            answer("s2t", "c", "red"),  # 0
            answer("s2t", "only in text", "green"),
            answer("s2s", "a", "green"),  # 1 - 1 = 0
            answer("s2s", "b", "grey"),  # 1 - 0 = 1
            answer("s2s", "c", ""),  # 0 - 0 = 0
        ]
    )
    found = figures(rows, QUIZ, 0)
    assert (found["speech_gap"]["value"], found["speech_gap"]["n"]) == (0.3333, 3)
    assert "speech_gap_typed" not in found


def interval(values, confidence):
    """The interval of independent typed items, as the report rounds it."""
    suite = QaSuite(**QA | {"resamples": 20_000, "confidence": confidence})
    said = ["green" if value else "red" for value in values]
    rows = judged([answer("t2t", str(n), s) for n, s in enumerate(said)], suite)
    return figures(rows, suite, 3)["cells"]["t2t"]["accuracy"]["ci95"]


def test_interval_of_two_items_by_hand():
    # two draws of two items: means 0, 1/2, 1 with chances 1/4, 1/2, 1/4
    assert interval([1, 0], 0.95) == [0.0, 1.0]  # 2.5 % lies in the quarter of 0
    assert interval([1, 0], 0.6) == [0.0, 1.0]  # so does 20 %
    assert interval([1, 0], 0.51) == [0.0, 1.0]  # 24.5 % just so


def test_interval_of_three_items_by_hand():
    # three draws with chance 1/3 of the one right item: k right with C(3,k) (1/3)^k (2/3)^(3-k)
    # = 8/27, 12/27, 6/27, 1/27; below 0: .296, up to 1/3: .741, up to 2/3: .963
    assert interval([1, 0, 0], 0.95) == [0.0, 1.0]  # 97.5 % lies above .963
    assert interval([1, 0, 0], 0.9) == [0.0, 0.6667]  # 95 % lies below .963
    assert interval([1, 0, 0], 0.52) == [0.0, 0.6667]  # 24 % and 76 %


def test_items_that_agree_have_an_interval_of_no_width():
    assert interval([1, 1, 1], 0.95) == [1.0, 1.0]


def test_what_could_not_be_asked_counts_nowhere_and_is_named():
    rows = judged(
        [answer("s2t", "a", "green"), answer("s2t", "b", "", reason="b.wav holds 0 samples")]
    )
    found = figures(rows, QUIZ, 0)
    assert found["cells"]["s2t"]["accuracy"] == {"value": 1.0, "ci95": [1.0, 1.0], "n": 1}
    assert found["left_out"] == [{"id": "s2t/b", "reason": "b.wav holds 0 samples"}]


def test_sum_and_mean_may_choose_differently():
    # sum: -4 < -3, the second; a row: -4 / 4 = -1 > -3 / 2 = -1.5, the first
    row = Answer("t2t/a", "t2t", "a", "typed", log_probs=(-4.0, -3.0), n_rows=(4, 2), right=0)
    by_sum, by_mean = (ChoiceSuite(**CHOICE | {"counts": c}) for c in ("sum", "mean"))
    assert (judge(row, by_sum).value, judge(row, by_mean).value) == (0, 1)
    found = figures([judge(row, by_sum)], by_sum, 0)["cells"]["t2t"]
    assert found["accuracy"]["value"] == found["by"]["sum"]["value"] == 0
    assert (found["by"]["mean"]["value"], found["chance"]) == (1, 0.5)


def test_instructions_count_whole_items_and_each_check():
    suite = InstructionSuite(**INSTRUCTIONS)
    short, green = {"kind": "words", "at_most": 2}, {"kind": "contains", "phrases": ["green"]}
    both = {"at_least": 0, **short}, green
    rows = judged(
        [
            answer("t2t", "a", "deep green", both),  # 2 of 2
            answer("t2t", "b", "it is green", both),  # 1 of 2
            answer("t2t", "c", "it is red", both),  # 0 of 2
        ],
        suite,
    )
    found = figures(rows, suite, 0)["cells"]["t2t"]
    assert found["accuracy"]["value"] == 0.3333  # 1 of 3
    assert found["checks"]["value"] == 0.5  # (1 + 1/2 + 0) / 3


def test_codec_word_error_counts_words_not_passages():
    suite = CodecSuite(**CODEC)
    sounds = {"similarity": 0.5, "quality": 3.0}, {"similarity": 0.7, "quality": 2.0}
    rows = judged(
        [
            answer("truth", "a", "", ("one two three four",), measures=sounds[0]),
            answer("truth", "b", "", ("five six",), measures=sounds[1]),
        ],
        suite,
    )
    rows = [
        judge(row.from_json(row.to_json() | {"heard": heard}), suite)
        for row, heard in zip(rows, ("one too three four", "five six seven"), strict=True)
    ]
    found = figures(rows, suite, 0)["cells"]["truth"]
    assert found["word_error"]["value"] == round(2 / 6, 4)  # one substitution, one insertion
    assert found["similarity"]["value"] == 0.6
    assert found["quality"]["value"] == 2.5


def test_chinese_errors_are_of_characters():
    row = answer("truth", "a", "今天天汽很好", ("今天天气很好。",))
    row = row.from_json(row.to_json() | {"heard": "今天天汽很好"})
    assert errors_of(row, "zh") == (1, 6)  # one of six characters


def test_latency_has_means_with_intervals_and_medians():
    suite = LatencySuite(
        **{k: v for k, v in QA.items() if k not in ("kind", "routes", "item")},
        kind="latency",
        item={"question": "{question}"},
    )
    rows = judged(
        [
            Answer(f"s2s/{n}", "s2s", str(n), "v", measures={"first_audio_s": s})
            for n, s in enumerate((0.2, 0.3, 0.7))
        ],
        suite,
    )
    found = figures(rows, suite, 0)["cells"]["s2s"]
    assert (found["first_audio_s"]["value"], found["median"]) == (0.4, {"first_audio_s": 0.3})


def test_quality_averages_the_answers_that_made_a_sound():
    rows = judged(
        [
            answer("t2s", "a", "green", measures={"quality": 3.0}),
            answer("t2s", "b", ""),  # said nothing: wrong, and no sound to judge
            answer("t2s", "c", "green", measures={"quality": 2.0}),
        ]
    )
    found = figures(rows, QUIZ, 0)["cells"]["t2s"]
    assert (found["quality"]["value"], found["quality"]["n"]) == (2.5, 2)
    assert (found["accuracy"]["value"], found["accuracy"]["n"]) == (0.6667, 3)


def test_rows_survive_being_written():
    row = answer("s2s", "a", "green", finish="stop", codes=(1, 2))
    assert Answer.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_a_row_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="other fields"):
        Answer.from_json({"id": "a"})


def test_every_kind_of_suite_has_its_class():
    assert {kind: cls.model_fields["kind"].annotation.__args__[0] for kind, cls in SUITES.items()} \
        == {kind: kind for kind in SUITES}  # fmt: skip
