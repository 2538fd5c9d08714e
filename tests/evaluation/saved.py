"""A small saved evaluation, written by hand: items with sounds, and the report that fits them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moss_speech.audio import write_audio
from moss_speech.evaluation.scores import Record, figures, retention
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import Item
from moss_speech.storage import write_json, write_jsonl

RATE_HZ = 24000
ANSWERS = ["it is green", "it is blue"]
HOW = Sampling(resamples=100, confidence=0.95, seed=0)


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.1)).astype(np.float32)


def record(cell: str, n: int, heard: str, reply: str = "speech") -> Record:
    item = Item(
        f"{cell}/{n}", cell, "speech", reply, "what color is <grass>", "it is green", f"fact{n}",
        "espeak-ng:m5", "8", f"u{n}", 0.5,
    )  # fmt: skip
    if reply == "text":
        return Record(item, text=heard, question_audio=f"{n}.flac")
    sounds = {"audio": f"{n}.flac", "question_audio": f"{n}.flac"}
    return Record(item, whisper=heard, sphinx=heard, nearest=heard, nearest_edits=0, **sounds)


FIVE = (
    record("t2s", 0, "it is blue"),
    record("s2s", 1, "it is blue"),
    record("s2s", 2, "it is green"),
    record("s2t", 3, "it is blue", reply="text"),
    record("t2t", 4, "it is green", reply="text"),
)


def write_evaluation(folder: Path, records: Sequence[Record] = FIVE, **more: Any) -> Path:
    """Write report.json, items.jsonl and the sounds of a run; `more` replaces parts of the report.

    A part that is None is left out, as older reports leave it out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(5):
        write_audio(folder / f"{n}.flac", tone(0.5 + n / 10), RATE_HZ)
    typed = [r for r in records if r.item.cell == "t2t"]
    report = {
        "format_version": 2,
        **figures(records, ANSWERS, HOW),
        "text": retention(typed, typed, ANSWERS, HOW) if typed else None,
        "tokenizer": {"word_error": {}, "codes_used": 0.5, "n_codes": 512, "perplexity": 99.5},
        "codec": {"rates": {"bits_per_s": 112.5, "bits_per_s_used": 82.9}, "heard": {}},
        "corpus": {
            "composition": [],
            "rejects": {"rows": [], "reasons": {}, "deliberate": 0, "deliberate_caught": 0},
        },
        "answers": ANSWERS,
        "method": {
            "bundle": "ab" * 32,
            "seed": 1,
            "decoding": "greedy",
            "resamples": 100,
            "confidence": 0.95,
            "goals": {"s2s": 0.8, "t2t": 0.98},
            "judges": {"whisper": "w", "sphinx": "s"},
        },
        **more,
    }
    write_json(folder / "report.json", {k: v for k, v in report.items() if v is not None})
    write_jsonl(folder / "items.jsonl", [r.to_json() for r in records])
    return folder


def write_suite(folder: Path, rows: Sequence[dict[str, Any]], **more: Any) -> Path:
    """Write an evaluation of an outside suite as `benchmarks.run` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    values = [float(row["value"]) for row in rows]
    figure = {"value": sum(values) / len(values), "ci95": [0.0, 1.0], "n": len(rows)}
    about = {"name": "llama-questions", "kind": "qa", "resamples": 1000, "confidence": 0.95}
    report = {
        "format_version": 1,
        "suite": about,
        "suite_digest": "cd" * 32,
        "model": {"address": "models/bundle", "digest": "ab" * 32},
        "seed": 0,
        "n_items": len(rows),
        "prompts": {"t2t": "answer in a word"},
        "normalisation": "lower case",
        "recogniser": None,
        "cells": {"t2t": {"accuracy": figure}},
        "left_out": [],
        **more,
    }
    write_json(folder / "report.json", report)
    write_jsonl(folder / "items.jsonl", rows)
    return folder
