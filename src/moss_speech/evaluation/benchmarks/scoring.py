"""From filed answers to figures: a pure function, so a saved run is judged without a model."""

import dataclasses
from collections.abc import Sequence
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from moss_speech.evaluation.benchmarks.answers import Answer
from moss_speech.evaluation.benchmarks.normal import normaliser
from moss_speech.evaluation.benchmarks.rules import fulfils, holds_answer, share_right
from moss_speech.evaluation.scores import by_cell, word_errors
from moss_speech.evaluation.statistics import Sampling, mean, ratio
from moss_speech.params.checks import Check
from moss_speech.params.suite import ChoiceSuite, CodecSuite, InstructionSuite, QaSuite, Suite

GAP = "speech_gap"
_CHECK: TypeAdapter[Check] = TypeAdapter(Check)


def judge(answer: Answer, suite: Suite) -> Answer:
    """The answer with its value; one that could not be asked has none."""
    return dataclasses.replace(answer, value=None if answer.reason else _value(answer, suite))


def _said(answer: Answer) -> str:
    return answer.text if answer.heard is None else answer.heard


def _value(answer: Answer, suite: Suite) -> float:
    match suite:
        case QaSuite():
            language = suite.language
            return float(holds_answer(_said(answer), answer.expected, suite.match, language))
        case InstructionSuite():
            return float(_share_of_checks(answer, suite.language) == 1)
        case ChoiceSuite():
            return _chosen(answer, suite.counts)
        case CodecSuite():
            errors, n = errors_of(answer, suite.language)
            return errors / n
        case _:
            assert answer.measures is not None
            return answer.measures["first_audio_s"]


def errors_of(answer: Answer, language: str) -> tuple[int, int]:
    """Word errors (characters where a language has no spaces) and units of the true text."""
    normal = normaliser(language)
    true = normal(answer.expected[0])
    return word_errors(true, normal(answer.heard or "")), len(true.split())


def _share_of_checks(answer: Answer, language: str) -> float:
    checks = [_CHECK.validate_python(check) for check in answer.expected]
    return sum(fulfils(check, _said(answer), language) for check in checks) / len(checks)


def _chosen(answer: Answer, counts: str) -> float:
    assert answer.right is not None
    pairs = zip(answer.log_probs, answer.n_rows, strict=True)
    scores = [total if counts == "sum" else total / n for total, n in pairs]
    return share_right(scores, answer.right)


def figures(answers: Sequence[Answer], suite: Suite, seed: int) -> dict[str, Any]:
    """Figures of each cell with intervals, what was left out and why, and the gap of speech."""
    how = Sampling(suite.resamples, suite.confidence, seed)
    used = [answer for answer in answers if answer.value is not None]
    out: dict[str, Any] = {
        "cells": {name: _cell(rows, suite, how) for name, rows in _cells(used).items()},
        "left_out": [{"id": a.id, "reason": a.reason} for a in answers if a.reason],
    }
    for asked in ("s", "t"):
        if gap := _gap(used, f"{asked}2t", f"{asked}2s", how):
            out[GAP if asked == "s" else f"{GAP}_typed"] = gap
    return out


def _cells(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    return by_cell(answers, lambda answer: answer.cell)


def _clusters(rows: Sequence[Answer]) -> list[list[str]]:
    return [[row.fact for row in rows], [row.voice for row in rows]]


def _average(rows: Sequence[Answer], values: Sequence[float], how: Sampling) -> dict[str, Any]:
    return mean(values, _clusters(rows), how).to_json()


def _cell(rows: Sequence[Answer], suite: Suite, how: Sampling) -> dict[str, Any]:
    """The headline figure of a cell under `accuracy`, `word_error` or `first_audio_s`."""
    values = _average(rows, [row.value or 0.0 for row in rows], how)
    match suite:
        case QaSuite():
            cut_off = sum(row.finish == "length" for row in rows)
            return {"accuracy": values, "cut_off": cut_off, **_measures(rows, how)}
        case InstructionSuite():
            shares = [_share_of_checks(row, suite.language) for row in rows]
            checks = _average(rows, shares, how)
            return {"accuracy": values, "checks": checks, **_measures(rows, how)}
        case ChoiceSuite():
            apart = {
                counts: _average(rows, [_chosen(row, counts) for row in rows], how)
                for counts in ("sum", "mean")
            }
            return {"accuracy": values, "by": apart, "chance": round(1 / len(suite.labels), 4)}
        case CodecSuite():
            return {"word_error": _errors(rows, suite, how), **_measures(rows, how)}
        case _:
            return _measures(rows, how) | _medians(rows)


def _errors(rows: Sequence[Answer], suite: Suite, how: Sampling) -> dict[str, Any]:
    errors, units = zip(*(errors_of(row, suite.language) for row in rows), strict=True)
    return ratio(errors, units, _clusters(rows), how).to_json()


def _measures(rows: Sequence[Answer], how: Sampling) -> dict[str, Any]:
    measured = [row for row in rows if row.measures]
    return {name: _average(measured, values, how) for name, values in _columns(rows).items()}


def _columns(rows: Sequence[Answer]) -> dict[str, list[float]]:
    """Values of each measure over the rows that were measured."""
    measures = [row.measures for row in rows if row.measures]
    names = measures[0] if measures else {}
    return {name: [of_row[name] for of_row in measures] for name in names}


def _medians(rows: Sequence[Answer]) -> dict[str, Any]:
    return {"median": {name: round(median(v), 4) for name, v in _columns(rows).items()}}


def _gap(answers: Sequence[Answer], text: str, speech: str, how: Sampling) -> dict[str, Any]:
    """What speaking the answer costs: both routes over the items that both answered."""
    cells = _cells(answers)
    in_text = {row.fact: row for row in cells.get(text, [])}
    pairs = [(in_text[row.fact], row) for row in cells.get(speech, []) if row.fact in in_text]
    if not pairs:
        return {}
    lost = [(t.value or 0.0) - (s.value or 0.0) for t, s in pairs]
    return mean(lost, _clusters([s for _, s in pairs]), how).to_json()
