"""Items of an evaluation's report, as the catalogue keeps them."""

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from moss_speech.catalogue.verdict_items import ItemFacts
from moss_speech.storage import read_json, read_jsonl

if TYPE_CHECKING:
    from moss_speech.evaluation.scores import Record, Scorer

ITEMS, REPORT = "items.jsonl", "report.json"


def _asked(record: "Record") -> str:
    item = record.item
    facts = [item.ask, item.reply, item.question, item.expected, item.utterance]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _facts(row: object, scorer: "Scorer") -> ItemFacts:
    from moss_speech.evaluation.scores import Record

    assert isinstance(row, dict)
    record = Record.from_json(row)
    item, value = record.item, scorer.verdict(record).value
    if not math.isfinite(value):
        raise ValueError(f"item {item.id} has the value {value}, must be a number")
    return ItemFacts(item.cell, item.id, item.fact, item.voice, _asked(record), value)


def report_items(folder: Path) -> list[ItemFacts]:
    """Every item behind a figure of right answers; nothing if the report has no items.

    Raises `ValueError` naming the file and line that cannot be read.
    """
    if not (folder / ITEMS).is_file():
        return []
    from moss_speech.evaluation.scores import Scorer  # brings torch, which a rollback does not need

    report = read_json(folder / REPORT)
    scorer, cells = Scorer(report["answers"]), set(report["accuracy"])
    found = []
    for number, row in enumerate(read_jsonl(folder / ITEMS), 1):
        try:
            if row["cell"] in cells:
                found.append(_facts(row, scorer))
        except (KeyError, TypeError, AssertionError) as error:
            raise ValueError(
                f"{folder / ITEMS} line {number} is no item of this report: {error!r}"
            ) from error
    counted = Counter((item.metric, item.item) for item in found)
    if twice := [f"{metric} {item}" for (metric, item), n in counted.items() if n > 1]:
        raise ValueError(f"{folder / ITEMS} has the item {twice[0]} twice, ids must be unique")
    return found
