"""Words as recognisers are compared by: lower case, digits spelt out, no punctuation."""

import re
import unicodedata

_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES, _TENS = tuple(_WORDS.split()), tuple(_TEN_WORDS.split())
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred"))
_SYMBOLS = {
    "%": "percent", "&": "and", "+": "plus", "=": "equals", "@": "at", "$": "dollars",
    "€": "euros", "£": "pounds", "°": "degrees", "×": "times", "÷": "divided by",
}  # fmt: skip
_SPELLINGS = {"colour": "color", "colours": "colors", "grey": "gray", "favourite": "favorite"}
_MAX_NUMBER = 10**12
_NUMBER = re.compile(r"\d+(?:,\d{3})+|\d+")
_ORDINAL_OR_UNIT = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")


def number_words(number: int) -> str:
    """A whole number in words; `ValueError` outside 0..10**12 - 1."""
    if not 0 <= number < _MAX_NUMBER:
        raise ValueError(f"number is {number}, must be 0..{_MAX_NUMBER - 1}")
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens = _TENS[number // 10 - 2]
        return tens if number % 10 == 0 else f"{tens} {_ONES[number % 10]}"
    size, name = next((s, n) for s, n in _SCALES if number >= s)
    head = f"{number_words(number // size)} {name}"
    return head if number % size == 0 else f"{head} {number_words(number % size)}"


def _spell(match: re.Match[str]) -> str:
    digits = match[0].replace(",", "")
    if len(digits) > 12 or (len(digits) > 1 and digits[0] == "0"):
        return f" {' '.join(_ONES[int(d)] for d in digits)} "
    return f" {number_words(int(digits))} "


def normalise(text: str) -> str:
    """Lower-case words separated by single spaces; empty if nothing is left.

    Numbers and common symbols become words, British spellings American, apostrophes stay inside
    words, letters of any script are kept.
    """
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    text = _NUMBER.sub(_spell, _ORDINAL_OR_UNIT.sub("", text))
    text = "".join(f" {_SYMBOLS[c]} " if c in _SYMBOLS else c for c in text)
    text = "".join(c if c.isalpha() or unicodedata.combining(c) or c == "'" else " " for c in text)
    words = (word.strip("'") for word in text.split())
    return " ".join(_SPELLINGS.get(word, word) for word in words if word)
