"""Simple maths and numbers in words; what is more than simple is dropped."""

import re

from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.speech.text import number_words

_MATHS = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$([^$\n]*[\\^_=+*/<>{}][^$\n]*)\$", re.S
)
_FRACTION = re.compile(r"\\d?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]+)\}")
_WORDLIKE = re.compile(r"\\(?:text|mathrm|mathbf|boxed)\s*\{([^{}]*)\}")
_POWERS = {"2": "squared", "3": "cubed"}
_POWER = re.compile(r"\^\s*\{?\s*(-?\w+)\s*\}?")
_COMMANDS = {
    r"\times": "times", r"\cdot": "times", r"\div": "divided by", r"\pm": "plus or minus",
    r"\leq": "is at most", r"\geq": "is at least", r"\le": "is at most", r"\ge": "is at least",
    r"\neq": "is not equal to", r"\approx": "is about", r"\pi": "pi", r"\alpha": "alpha",
    r"\beta": "beta", r"\theta": "theta", r"\infty": "infinity", r"\left": "", r"\right": "",
    r"\%": " percent", r"\$": " dollars ", r"\,": " ", r"\;": " ", r"\ ": " ",
}  # fmt: skip
_COMMAND = re.compile("|".join(map(re.escape, sorted(_COMMANDS, key=len, reverse=True))))
_SIGNS = {
    "≤": " is at most ", "≥": " is at least ", "≠": " is not equal to ", "≈": " is about ",
    "±": " plus or minus ", "√": " the square root of ", "²": " squared", "³": " cubed",
    "°": " degrees ", "→": " to ", "½": " one half ", "¼": " one quarter ", "¾": " three quarters ",
    "×": " times ", "÷": " divided by ", "−": " minus ", "=": " equals ", "+": " plus ",
    "<": " is less than ", ">": " is more than ", "*": " times ", "/": " over ",
}  # fmt: skip
_OPERATORS = re.compile(r"(?<=[\w)])\s*([*/<>=+−×÷≤≥≠≈±])\s*(?=[\w(√−-])")
_MINUS = re.compile(r"(?<=[\w)])\s+-\s+(?=\d)|(?<=\d)-(?=\d+\s*=)")
_RANGE = re.compile(r"(?<=\d)\s*[–-]\s*(?=\d)")
_MONEY = re.compile(r"([$€£])\s?(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d\d))?(?!\d)")
_UNITS = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_ORDINAL = re.compile(r"\b(\d{1,2})(st|nd|rd|th)\b")
_DECIMAL = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)\.(\d{1,12})(?![\d.])")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")
_IRREGULAR = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def said(text: str) -> str:
    """A text with its formulas and numbers in words; `UnspeakableError` for other LaTeX."""
    text = _MATHS.sub(lambda found: _formula(next(g for g in found.groups() if g)), text)
    if found := re.search(r"\\[a-zA-Z]{2,}|[{}]", text):
        raise UnspeakableError("maths", found[0], "fractions, roots, powers and operators")
    return _numbers(_signs(text))


def _formula(latex: str) -> str:
    text = _WORDLIKE.sub(r"\1", latex)
    text = _FRACTION.sub(r" \1 over \2 ", text)
    text = _ROOT.sub(r" the square root of \1 ", text)
    text = _COMMAND.sub(lambda found: f" {_COMMANDS[found[0]]} ", text)
    text = _POWER.sub(_power, text)
    if found := re.search(r"[\\{}^_&]", text):
        allowed = "fractions, roots, powers and operators"
        raise UnspeakableError("maths", f"{found[0]} in a formula", allowed)
    return _signs(text.replace(" - ", " minus "))


def _power(found: re.Match[str]) -> str:
    return f" {_POWERS.get(found[1], f'to the power of {found[1]}')} "


def _signs(text: str) -> str:
    text = _POWER.sub(_power, _MINUS.sub(" minus ", text))
    text = _OPERATORS.sub(lambda found: _operator(found, text), text)
    return "".join(_SIGNS[c] if c in "≤≥≠≈±√²³→½¼¾×÷−°" else c for c in text)


def _operator(found: re.Match[str], text: str) -> str:
    """A sign as a word between numbers, or with space around it; `and/or` stays two words."""
    alone = found[0] != found[1]
    between_numbers = text[found.start() - 1].isdigit() or text[found.end()].isdigit()
    if found[1] == "/" and not between_numbers:
        return " " if found.string[: found.start()].endswith("and") else " or "
    return _SIGNS[found[1]] if alone or between_numbers or found[1] == "=" else found[0]


def _numbers(text: str) -> str:
    text = _MONEY.sub(_money, text)
    text = _TIME.sub(lambda found: _time(int(found[1]), int(found[2])), text)
    text = _ORDINAL.sub(lambda found: _ordinal(int(found[1])), text)
    text = _RANGE.sub(" to ", text)
    text = _DECIMAL.sub(_decimal, text)
    return _NUMBER.sub(lambda found: f"{_whole(found[0])}", text.replace("%", " percent"))


def _whole(digits: str) -> str:
    """A whole number; long ones and those that begin with 0 digit by digit."""
    plain = digits.replace(",", "")
    if len(plain) > 12 or (len(plain) > 1 and plain[0] == "0"):
        return " ".join(number_words(int(digit)) for digit in plain)
    return number_words(int(plain))


def _decimal(found: re.Match[str]) -> str:
    return f"{_whole(found[1])} point {' '.join(number_words(int(digit)) for digit in found[2])}"


def _money(found: re.Match[str]) -> str:
    unit, part = _UNITS[found[1]]
    whole = f"{_whole(found[2])} {unit}{'' if found[2] == '1' else 's'}"
    if found[3] is None or found[3] == "00":
        return whole
    parts = {"penny": "pence"}.get(part, f"{part}s")
    return f"{whole} and {number_words(int(found[3]))} {parts}"


def _time(hour: int, minute: int) -> str:
    if minute == 0:
        return f"{number_words(hour)} o'clock"
    return f"{number_words(hour)} {'oh ' if minute < 10 else ''}{number_words(minute)}"


def _ordinal(number: int) -> str:
    *head, last = number_words(number).split()
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*head, last])
