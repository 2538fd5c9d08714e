"""Written text as one says it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.corpus.synthesis.speakable import sentences, shortened, speakable
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.speech.text import normalise

SAID = {
    "The **answer** is `print`, *really*.": "The answer is print, really.",
    "# Title\n- one item\n2. another": "Title. one item. another.",
    "See [the page](https://a.example/b?c=1) or https://www.example.com/x.": (
        "See the page or example dot com."
    ),
    "It costs $5.20 or €3, 50% off.": (
        "It costs five dollars and twenty cents or three euros, fifty percent off."
    ),
    "At 3:30 on the 3rd, at 12:00 on the 20th.": (
        "At three thirty on the third, at twelve o'clock on the twentieth."
    ),
    "1,234 of 3.14": "one thousand two hundred thirty four of three point one four",
    "agent 007": "agent zero zero seven",
    "2 + 3 = 5, 10/2 = 5 and 7 - 3 = 4": (
        "two plus three equals five, ten over two equals five and seven minus three equals four"
    ),
    "$$\\frac{a}{b} = x^2 + \\sqrt{2}$$": "a over b equals x squared plus the square root of two",
    "\\(3 \\times 4 \\leq 12\\)": "three times four is at most twelve",
    "$100 and $200": "one hundred dollars and two hundred dollars",
    "he/she and/or they": "he or she and or they",
    "pages 3-5": "pages three to five",
    "| Name | Age |\n|---|---|\n| Ann | 5 |": "Name Ann, Age five.",
    "> quoted\n\n---\nnext": "quoted next",
    "a\u200bb <b>bold</b> 😀!": "ab bold!",
    "```\nprint\n```": "print",
}
DROPPED = {
    "```python\nfor i in range(3):\n    print(i)\n```": "code",
    "`x`\n```\n" + "y" * 61 + "\n```": "code",
    "|a|b|c|d|\n|-|-|-|-|\n|1|2|3|4|": "table",
    "|a|\n|--|\n|1|\n|1|\n|1|\n|1|\n|1|": "table",
    "\\begin{matrix} a \\end{matrix}": "maths",
    "$x_{i+1}$": "maths",
    "$\\int_0^1 f$": "maths",
    "@@@ ### && ~~ ab": "symbols",
    "你好世界": "script",
    "": "empty",
    "...": "empty",
    "![only a picture](x.png)": "empty",
}


@pytest.mark.parametrize("written", SAID)
def test_text_is_said(written: str) -> None:
    assert speakable(written, "en") == SAID[written]


@pytest.mark.parametrize("written", DROPPED)
def test_what_cannot_be_said_is_dropped_with_its_reason(written: str) -> None:
    with pytest.raises(UnspeakableError) as error:
        speakable(written, "en")
    assert error.value.reason == DROPPED[written]
    assert error.value.value and error.value.allowed


def test_other_languages_keep_their_script_and_digits() -> None:
    assert speakable("**我** 有 3 本书。", "zh") == "我 有 3 本书。"
    with pytest.raises(UnspeakableError, match="not CJK"):
        speakable("I have three books", "zh")


@given(st.text(max_size=200))
def test_any_text_is_said_in_letters_and_marks_or_dropped(text: str) -> None:
    try:
        said = speakable(text, "en")
    except UnspeakableError:
        return
    assert normalise(said)
    assert not re.search(r"[0-9`#|*<>{}\\_$@\n]", said)


@given(st.lists(st.sampled_from(["It is so.", "Why not?", "He said 3.5 of it!", "a b c"])))
def test_sentences_hold_every_word_once(parts: list[str]) -> None:
    text = " ".join(parts)
    assert " ".join(sentences(text)) == text


def test_answers_are_cut_at_the_end_of_a_sentence() -> None:
    text = "One two three. Four five. Six seven eight nine."
    assert shortened(text, 9) == text
    assert shortened(text, 8) == "One two three. Four five."
    assert shortened(text, 3) == "One two three."
    with pytest.raises(UnspeakableError, match=r"length: 3 words in a sentence, allowed <= 2"):
        shortened(text, 2)
