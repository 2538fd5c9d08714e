"""Is there something personal in a text? Rules for addresses and numbers, written or spelt out.

They rather find too much than too little; names of persons they do not find.
Sources: IBAN by ISO 13616 (lengths, check by ISO 7064 mod 97-10), cards by ISO/IEC 7812 (Luhn).
"""

import re
import unicodedata
from itertools import pairwise

from moss_speech.speech.spoken_numbers import with_digits

TAG = "personal"
_EMAIL = re.compile(
    r"[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)+"
    r"|\w+ at (?:[\w-]+ ){0,2}[\w-]+ dot [a-z]{2,}\b"
    r"|\w+ at (?!(?:the|a|an|my|this|that)\b)(?:[\w-]+ ){1,2}(?:com|org|edu|de)\b"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP = re.compile(rf"(?<![\d.])(?:{_BYTE}\.){{3}}{_BYTE}(?!\.?\d)")
_SOCIAL_SECURITY = re.compile(r"(?<!\d)(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?!\d)")
_DOCUMENT = re.compile(
    r"\b(?:passport|driving licen[cs]e|driver'?s licen[cs]e|identity card|tax|insurance|"
    r"social security)\b[^\d\n]{0,25}\b[a-z]{0,3} ?\d(?:[ -]?\d){5,}"
)
_BETWEEN = r"(?!(?:the|a|an|this|that|on|in|of|my|our|your|each|every|across|along|down|to|and)\b)"
_STREET = re.compile(
    rf"\b\d{{1,5}} (?:{_BETWEEN}[\w.']+ ){{1,3}}"
    r"(?:street|st|road|rd|avenue|ave|lane|drive|boulevard|blvd|court|square)\b"
    r"|\b\w{3,}(?:straße|strasse|gasse|platz|allee) \d{1,4}\b"
)
_DATE = re.compile(r"\b\d{1,4}([./-])\d{1,2}\1\d{2,4}\b")
_RUN = re.compile(r"(?:\+|\bplus )?\(?\d(?:[ ()./-]{0,3}\d)*")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_AMERICAN = re.compile(r"1?[2-9]\d{2}[2-9]\d{6}")
_LOCAL = re.compile(r"[2-9]\d{2}[ -]\d{4}")
_PHONE_DIGITS, _SPOKEN_DIGITS = range(8, 16), range(7, 16)
_IBAN_LENGTHS = {
    "ad": 24, "at": 20, "be": 16, "bg": 22, "ch": 21, "cy": 28, "cz": 24, "de": 22, "dk": 18,
    "ee": 20, "es": 24, "fi": 18, "fr": 27, "gb": 22, "gr": 27, "hr": 21, "hu": 28, "ie": 22,
    "is": 26, "it": 27, "li": 21, "lt": 20, "lu": 20, "lv": 21, "mc": 27, "mt": 31, "nl": 18,
    "no": 15, "pl": 28, "pt": 25, "ro": 24, "se": 24, "si": 19, "sk": 24, "sm": 27, "tr": 26,
}  # fmt: skip
_IBAN_START = re.compile(rf"\b({'|'.join(_IBAN_LENGTHS)}) ?\d ?\d")


def find_personal(text: str) -> str | None:
    """The kind of the first personal thing in a text; None if the rules find none."""
    typed = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    digits = with_digits(typed)
    rules = (
        ("e-mail address", bool(_EMAIL.search(typed))),
        ("bank account", _has_account(digits)),
        ("payment card", any(is_card(m[0]) for m in _CARD.finditer(digits))),
        ("IP address", bool(_IP.search(typed))),
        ("social security number", bool(_SOCIAL_SECURITY.search(typed))),
        ("number of a document", bool(_DOCUMENT.search(digits))),
        ("street address", bool(_STREET.search(digits))),
        ("phone number", any(_is_phone(m[0]) for m in _RUN.finditer(_DATE.sub(" ", digits)))),
    )
    return next((kind for kind, found in rules if found), None)


def personal_tag(written: str) -> dict[str, str]:
    """The tag `personal` with the kind of what is found in a text as it was written; else none.

    For whoever keeps only what `normalise` leaves of it: without dots, dashes and signs some kinds
    look like any number.
    """
    found = find_personal(written)
    return {} if found is None else {TAG: found}


def is_card(text: str) -> bool:
    """Whether 13 to 19 digits, spaced or not, are a card's number by its check digit."""
    digits = [int(c) for c in text if c.isdecimal()]
    if not 13 <= len(digits) <= 19 or not 2 <= digits[0] <= 6:
        return False
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_account(compact: str) -> bool:
    """Whether letters and digits without spaces are an account's number by its check digits."""
    if not re.fullmatch(r"[a-z]{2}\d{2}[a-z0-9]+", compact):
        return False
    if len(compact) != _IBAN_LENGTHS.get(compact[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _has_account(text: str) -> bool:
    for match in _IBAN_START.finditer(text):
        following = re.sub(r"[ -]", "", text[match.start() : match.start() + 80])
        if is_account(following[: _IBAN_LENGTHS[match[1]]]):
            return True
    return False


def _is_phone(run: str) -> bool:
    digits, groups = re.sub(r"\D", "", run), run.split()
    if re.fullmatch(r"\d+\.\d+", run) or _is_counting(groups):
        return False
    if run.startswith(("+", "plus", "0", "(0")):
        return len(digits) in _PHONE_DIGITS
    if _AMERICAN.fullmatch(digits) or _LOCAL.fullmatch(run):
        return True
    return len(groups) == len(digits) and len(digits) in _SPOKEN_DIGITS


def _is_counting(groups: list[str]) -> bool:
    """Three or more whole numbers with equal steps between them."""
    if len(groups) < 3 or not all(group.isdecimal() for group in groups):
        return False
    return len({int(b) - int(a) for a, b in pairwise(groups)}) == 1
