"""Written text as one says it, by rule; what cannot be said is dropped with its reason."""

import re
import unicodedata

from moss_speech.corpus.synthesis.formulas import said
from moss_speech.corpus.synthesis.markdown import plain
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.speech.text import normalise

MAX_SYMBOL_SHARE, MAX_FOREIGN_SHARE = 0.1, 0.1
"""Of the characters that are no spaces: neither letter nor mark of a sentence; of other scripts."""
_MARKS = ".,!?;:'’\"“”()-–—…。，！？；：、"
_SENTENCE = re.compile(r"(?<=[.!?…])[\"”')\]]*\s+(?=[\"“(]?[A-Z0-9])|(?<=[。！？])\s*")
_SCRIPTS = {"zh": "CJK", "ja": "CJK", "ko": "HANGUL", "ru": "CYRILLIC", "uk": "CYRILLIC"}
"""Script of a language by the beginning of its letters' Unicode names; others are Latin."""


def speakable(text: str, language: str) -> str:
    """The text without layout, signs and digits; raises `UnspeakableError`.

    Numbers become words in English; other languages' synthesisers read digits themselves.
    """
    text = unicodedata.normalize("NFC", text.replace("\r", "\n"))
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C" or c == "\t")
    text = plain(text)
    text = said(text) if language == "en" else text
    text = "".join(c for c in text if unicodedata.category(c) != "So")  # pictures
    _check(text, language)
    text = "".join(
        c if c.isalnum() or c in _MARKS or unicodedata.combining(c) else " " for c in text
    )
    text = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(text.split()))
    if not normalise(text):
        raise UnspeakableError("empty", "no words", "at least one word")
    return text


def sentences(text: str) -> list[str]:
    """A text in sentences, every word of it in one."""
    parts = (part.strip() for part in _SENTENCE.split(text))
    return [part for part in parts if part]


def shortened(text: str, max_words: int) -> str:
    """The first sentences, as many as fit; `UnspeakableError` if the first does not."""
    kept: list[str] = []
    words = 0
    for sentence in sentences(text):
        words += len(normalise(sentence).split())
        if words > max_words:
            break
        kept.append(sentence)
    if not kept:
        raise UnspeakableError("length", f"{words} words in a sentence", f"<= {max_words}")
    return " ".join(kept)


def _is_sayable(c: str) -> bool:
    return c.isalnum() or c in _MARKS or bool(unicodedata.combining(c))


def _check(text: str, language: str) -> None:
    shown = [c for c in text if not c.isspace()]
    letters = [c for c in shown if c.isalpha()]
    if not letters:
        raise UnspeakableError("empty", "no words", "at least one word")
    odd = sum(not _is_sayable(c) for c in shown)
    if odd > MAX_SYMBOL_SHARE * len(shown):
        share = f"{odd / len(shown):.0%} of the characters"
        raise UnspeakableError("symbols", share, f"<= {MAX_SYMBOL_SHARE:.0%}")
    script = _SCRIPTS.get(language, "LATIN")
    foreign = sum(not unicodedata.name(c, "").startswith(script) for c in letters)
    if foreign > MAX_FOREIGN_SHARE * len(letters):
        share = f"{foreign / len(letters):.0%} of the letters are not {script}"
        raise UnspeakableError("script", share, f"<= {MAX_FOREIGN_SHARE:.0%}")
