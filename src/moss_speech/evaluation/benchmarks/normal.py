"""How answers and transcripts are compared: words, or characters where a language has no spaces.

Traditional and simplified characters stay as they are: no library of the project turns one into
the other, so they count as different (docs/reference/suites.md).
"""

import re
import unicodedata
from collections.abc import Callable

from moss_speech.speech.text import normalise

BY_CHARACTERS = ("zh", "ja")
_ARTICLES = {"a", "an", "the"}
_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿")
_NUMBER = re.compile(r"\d+(?:,\d{3})+|\d+")
_MAX_DIGITS = 12

Normaliser = Callable[[str], str]


def normaliser(language: str) -> Normaliser:
    """The form in which texts of a language are compared: units with single spaces between."""
    if language in BY_CHARACTERS:
        return characters
    return words if language == "en" else _foreign_words


def describe(language: str) -> str:
    """What `normaliser` does, for the report."""
    if language in BY_CHARACTERS:
        return (
            "characters: NFKC, lower case, letters and digits only, whole numbers written out in "
            "Chinese, traditional and simplified forms kept apart"
        )
    if language == "en":
        return "words: lower case, no punctuation, digits spelt out, no articles (a, an, the)"
    return "words: NFKC, lower case, letters and digits only"


def words(text: str) -> str:
    """English words, digits spelt out, without articles unless nothing else is there."""
    found = normalise(text).split()
    return " ".join([word for word in found if word not in _ARTICLES] or found)


def characters(text: str) -> str:
    """Every letter or digit for itself; whole numbers as they are read in Chinese."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = _NUMBER.sub(lambda found: number_characters(found[0].replace(",", "")), text)
    return " ".join(c for c in text if c.isalnum())


def _foreign_words(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (c if c.isalnum() or unicodedata.combining(c) else " " for c in text)
    return " ".join("".join(kept).split())


def number_characters(digits: str) -> str:
    """A whole number in Chinese characters; digit by digit if it is long or begins with 0."""
    if len(digits) > _MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return "".join(_DIGITS[int(digit)] for digit in digits)
    blocks = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    out = ""
    for power in range(len(blocks) - 1, -1, -1):
        said = _block(blocks[power].zfill(4))
        if said and out and blocks[power].zfill(4)[0] == "0":
            out += "零"
        out += f"{said}{_MYRIADS[power]}" if said else ""
    out = out or "零"
    return out[1:] if out.startswith("一十") else out


def _block(digits: str) -> str:
    """Four digits; empty for 0000."""
    out, gap = "", False
    for place, digit in zip((3, 2, 1, 0), digits, strict=True):
        if digit == "0":
            gap = bool(out)
            continue
        out += f"{'零' if gap else ''}{_DIGITS[int(digit)]}{_PLACES[place]}"
        gap = False
    return out
