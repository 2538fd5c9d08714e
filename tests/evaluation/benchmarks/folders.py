"""Small suites in folders, made for a test."""

import json
from pathlib import Path

import yaml

ITEM = {"id": "{id}", "question": "{question}", "answers": "{answers}"}
QA = {
    "kind": "qa",
    "name": "quiz",
    "licence": "CC0-1.0",
    "language": "en",
    "table": {"file": "items.jsonl"},
    "speakers": [{"synthesizer": "espeak-ng", "voice": "en-us+f4"}],
    "routes": ["t2t", "s2t", "t2s", "s2s"],
    "item": ITEM,
}
QA_ROWS = [
    {"id": "grass", "question": "what color is the grass", "answers": ["green"]},
    {"id": "next", "question": "what comes after two", "answers": ["3", "three"]},
    {"id": "sky", "question": "what color is the sky", "answers": ["blue"]},
]
CHOICE = {
    "kind": "choice",
    "name": "pairs",
    "licence": "CC0-1.0",
    "language": "en",
    "table": {"file": "items.jsonl"},
    "speakers": [{"synthesizer": "espeak-ng", "voice": "en-us+f4"}],
    "routes": ["t2t"],
    "labels": ["1", "2"],
    "counts": "sum",
    "item": {
        "id": "{id}",
        "context": "{context}",
        "options": ["{first}", "{second}"],
        "right": "{right}",
    },
}
CHOICE_ROWS = [
    {"id": "a", "context": "what color is the grass", "first": "it is green", "second": "it is",
     "right": 1},
    {"id": "b", "context": "it is", "first": "what", "second": "green color", "right": 2},
]  # fmt: skip
INSTRUCTIONS = {
    "kind": "instructions",
    "name": "orders",
    "licence": "CC0-1.0",
    "language": "en",
    "table": {"file": "items.jsonl"},
    "routes": ["t2t"],
    "item": {"id": "{id}", "question": "{question}", "checks": "{checks}"},
}
INSTRUCTION_ROWS = [
    {"id": "short", "question": "be brief", "checks": [{"kind": "words", "at_most": 3}]}
]
CODEC = {
    "kind": "codec",
    "name": "passages",
    "licence": "CC0-1.0",
    "language": "en",
    "table": {"file": "items.jsonl"},
    "speakers": [{"synthesizer": "espeak-ng", "voice": "en-us+f4"}],
    "item": {"id": "{id}", "text": "{text}", "prompt_text": "{prompt}"},
}
CODEC_ROWS = [{"id": "p", "text": "the grass is green", "prompt": "the sky is blue today"}]


def write_suite(folder: Path, about: dict, rows: list) -> Path:
    """A suite with its items as JSONL."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(about, allow_unicode=True))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "items.jsonl").write_text(lines)
    return folder
