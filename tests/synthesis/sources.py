"""Params of synthesised sources for tests: small, spoken by programs of the system."""

from typing import Any

from moss_speech.params.base import validate_section
from moss_speech.params.synthesis import Instructions, Texts

FLITE = [{"synthesizer": "flite", "names": ["rms", "slt"]}]
_COMMON = {
    "licence": "CC0",
    "consent": "no person was recorded",
    "language": "en",
    "max_items": 1000,
    "voices": FLITE,
    "rate_range": [0.9, 1.0],
    "recogniser": "whisper-tiny.en",
    "max_word_error": 0.2,
}
INSTRUCTIONS: dict[str, Any] = {
    **_COMMON,
    "kind": "instructions",
    "name": "sets",
    "path": "rows.jsonl",
    "assistant": {"synthesizer": "flite", "names": ["slt"]},
    "rewrite": {"kind": "rules"},
    "normalise_text": True,
    "max_exchanges": 3,
    "max_words": 60,
}
TEXTS: dict[str, Any] = {
    **_COMMON,
    "kind": "texts",
    "name": "web",
    "path": "rows.jsonl",
    "text_column": "text",
    "quality_column": "score",
    "min_quality": 3.0,
    "spoken_share": 0.5,
    "passage_words": 100,
}


def instructions(**more: Any) -> Instructions:
    return validate_section({**INSTRUCTIONS, **more}, Instructions, "synthesised")


def texts(**more: Any) -> Texts:
    return validate_section({**TEXTS, **more}, Texts, "synthesised")
