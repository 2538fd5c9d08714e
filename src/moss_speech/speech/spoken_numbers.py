"""Spelt-out English numbers back into digits: what `text.normalise` did to them, undone."""

import re

from moss_speech.speech.text import number_words

_SMALL = {number_words(n): n for n in (*range(20), *range(20, 100, 10))} | {"oh": 0}
_SCALES = {"thousand": 1000, "million": 10**6, "billion": 10**9}


def _any(first: int, last: int, step: int = 1) -> str:
    return "|".join(number_words(n) for n in range(first, last + 1, step))


_ONE, _TEEN, _TEN, _SCALE = _any(1, 9), _any(10, 19), _any(20, 90, 10), "|".join(_SCALES)
_BELOW_100 = rf"(?:(?:{_TEN})(?: (?:{_ONE})\b)?|{_TEEN}|{_ONE}|zero|oh)"
_BELOW_1000 = rf"(?:(?:{_ONE}) hundred(?:(?: and)? {_BELOW_100}\b)?|{_BELOW_100})"
_NUMBER = re.compile(
    rf"\b{_BELOW_1000}\b(?: (?:{_SCALE})\b(?:(?: and)? {_BELOW_1000}\b)?)*", re.IGNORECASE
)


def _value(match: re.Match[str]) -> str:
    total = part = 0
    for word in match[0].lower().split():
        if word in _SCALES:
            total, part = total + part * _SCALES[word], 0
        elif word == "hundred":
            part *= 100
        elif word != "and":
            part += _SMALL[word]
    return str(total + part)


def with_digits(text: str) -> str:
    """A text whose English number words are digits; each number is one group of digits."""
    return _NUMBER.sub(_value, text)
