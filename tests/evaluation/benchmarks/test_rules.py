import pytest

from moss_speech.evaluation.benchmarks.normal import (
    characters,
    describe,
    normaliser,
    number_characters,
    words,
)
from moss_speech.evaluation.benchmarks.rules import fulfils, holds_answer, sentences, share_right
from moss_speech.params.checks import Count, Edge, Form, Keywords


@pytest.mark.parametrize(
    ("said", "answers", "by_words", "by_phrase"),
    [
        ("The answer is Paris.", ["Paris"], True, True),
        ("Parisian life", ["Paris"], False, False),
        ("It has 3 sides", ["three"], True, True),
        ("there are twenty-one of them", ["21"], True, True),
        ("York, in the new world", ["New York"], True, False),
        ("the Beatles", ["Beatles", "The Fab Four"], True, True),
        ("It was a Beatles song", ["the Beatles"], True, True),
        ("", ["green"], False, False),
        ("green", ["deep green"], False, False),
        ("It's U.S.A.", ["u s a"], True, True),
    ],
)
def test_answers_are_found_as_worked_out_by_hand(said, answers, by_words, by_phrase):
    assert holds_answer(said, answers, "words", "en") is by_words
    assert holds_answer(said, answers, "phrase", "en") is by_phrase


@pytest.mark.parametrize(
    ("said", "answer", "right"),
    [
        ("首都是北京。", "北京", True),
        ("北边的南京", "北京", False),  # both characters occur, not side by side
        ("一共有12个", "十二", True),
        ("一共有十二个", "12", True),
        ("這是萬", "万", False),  # traditional and simplified are kept apart, as documented
    ],
)
def test_chinese_answers_stand_side_by_side(said, answer, right):
    assert holds_answer(said, [answer], "words", "zh") is right


def test_articles_are_dropped_unless_nothing_else_is_there():
    assert words("The cat and a dog") == "cat and dog"
    assert words("The") == "the"


def test_characters_are_units_of_their_own():
    assert characters("你好，World 3!") == "你 好 w o r l d 三"
    assert normaliser("ja") is characters
    assert "traditional" in describe("zh")


def test_other_languages_keep_their_words_and_digits():
    assert normaliser("de")("Straße, 3 Äpfel!") == "straße 3 äpfel"


@pytest.mark.parametrize(
    ("digits", "read"),
    [
        ("0", "零"), ("10", "十"), ("15", "十五"), ("20", "二十"), ("105", "一百零五"),
        ("110", "一百一十"), ("1001", "一千零一"), ("1010", "一千零一十"), ("10005", "一万零五"),
        ("120000", "十二万"), ("20030", "二万零三十"), ("100010000", "一亿零一万"),
        ("007", "零零七"), ("1234567890123", "一二三四五六七八九零一二三"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_in_chinese(digits, read):
    assert number_characters(digits) == read


def test_ties_share_what_is_right():
    assert share_right([-1.0, -2.0], 0) == 1
    assert share_right([-1.0, -2.0], 1) == 0
    assert share_right([-1.0, -1.0], 1) == 0.5
    assert share_right([-1.0, -1.0, -1.0, -3.0], 0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("check", "said", "passes"),
    [
        (Count(kind="words", at_least=2, at_most=3), "It is green", True),
        (Count(kind="words", at_least=2, at_most=3), "Green", False),
        (Count(kind="words", at_most=3), "It is not so green", False),
        (Count(kind="sentences", at_least=2, at_most=2), "It is. Yes!", True),
        (Count(kind="sentences", at_most=1), "It is. Yes!", False),
        (Keywords(kind="contains", phrases=["green", "3"]), "Three green trees", True),
        (Keywords(kind="contains", phrases=["green", "red"]), "Three green trees", False),
        (Keywords(kind="excludes", phrases=["red"]), "Reddish", True),
        (Keywords(kind="excludes", phrases=["red"]), "It is Red.", False),
        (Edge(kind="starts", phrase="it is"), "It is green", True),
        (Edge(kind="starts", phrase="it is"), "It isn't", False),
        (Edge(kind="ends", phrase="two"), "The next is 2.", True),
        (Edge(kind="ends", phrase="two"), "Two is next", False),
        (Form(kind="form", form="json"), '{"color": "green"}', True),
        (Form(kind="form", form="json"), "color: green", False),
        (Form(kind="form", form="lower case"), "it is", True),
        (Form(kind="form", form="upper case"), "It is", False),
        (Form(kind="form", form="one line"), "It is\n\n", True),
        (Form(kind="form", form="one line"), "It is\ngreen", False),
        (Form(kind="form", form="bullets"), "- one\n2. two", True),
        (Form(kind="form", form="bullets"), "- one\ntwo", False),
        (Form(kind="form", form="bullets"), "", False),
    ],
)
def test_checks_hold_as_worked_out_by_hand(check, said, passes):
    assert fulfils(check, said, "en") is passes


def test_sentences_count_what_stands_behind_the_last_mark():
    assert [sentences(s) for s in ("", "One", "One. Two", "3.5 is one.", "好。行！")] == [
        0, 1, 2, 1, 2,
    ]  # fmt: skip
