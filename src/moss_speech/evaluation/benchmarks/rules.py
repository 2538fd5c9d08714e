"""Whether one answer is right, by rule: aliases, checks, likelihoods.

What each rule is and why: docs/reference/suites.md.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal

from moss_speech.evaluation.benchmarks.normal import BY_CHARACTERS, Normaliser, normaliser
from moss_speech.params.checks import Check, Count, Edge, Form, Keywords

_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|[。！？]+")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S")


def holds_answer(
    said: str, answers: Sequence[str], match: Literal["words", "phrase"], language: str
) -> bool:
    """Whether any answer that counts is in what was said.

    `phrase`: its words stand side by side, whole. `words`: each of its words occurs somewhere.
    Characters of languages without spaces always stand side by side.
    """
    normal = normaliser(language)
    heard = normal(said)
    present = set(heard.split())
    for answer in map(normal, answers):
        if match == "words" and language not in BY_CHARACTERS:
            if answer and present.issuperset(answer.split()):
                return True
        elif answer and phrase_in(answer, heard):
            return True
    return False


def phrase_in(phrase: str, heard: str) -> bool:
    """Whether normalised words stand side by side in normalised text."""
    return f" {phrase} " in f" {heard} "


def share_right(scores: Sequence[float], right: int) -> float:
    """1 if the right option alone scores best; of several best ones it gets its share."""
    best = [index for index, score in enumerate(scores) if score == max(scores)]
    return 1 / len(best) if right in best else 0.0


def fulfils(check: Check, said: str, language: str) -> bool:
    """Whether an answer passes one check; words are compared as `normaliser` leaves them."""
    normal = normaliser(language)
    match check:
        case Count(kind="words"):
            return check.at_least <= len(said.split()) <= check.at_most
        case Count():
            return check.at_least <= sentences(said) <= check.at_most
        case Keywords():
            there = [phrase_in(normal(phrase), normal(said)) for phrase in check.phrases]
            return all(there) if check.kind == "contains" else not any(there)
        case Edge():
            return _at_edge(check, said, normal)
        case Form():
            return _has_form(check.form, said)


def sentences(said: str) -> int:
    """Sentences by their marks; what stands behind the last mark is one more."""
    return sum(bool(piece.strip()) for piece in _SENTENCE_END.split(said))


def _at_edge(check: Edge, said: str, normal: Normaliser) -> bool:
    heard, phrase = normal(said), normal(check.phrase)
    if check.kind == "starts":
        return f"{heard} ".startswith(f"{phrase} ")
    return f" {heard}".endswith(f" {phrase}")


def _has_form(form: str, said: str) -> bool:
    lines = [line for line in said.splitlines() if line.strip()]
    match form:
        case "json":
            try:
                json.loads(said)
            except (ValueError, RecursionError):
                return False
            return True
        case "lower case":
            return said == said.lower()
        case "upper case":
            return said == said.upper()
        case "one line":
            return len(lines) == 1
        case _:
            return bool(lines) and all(_BULLET.match(line) for line in lines)
