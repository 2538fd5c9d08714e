"""Figures by one name each, the same for every stage and preset (docs/reference/tracking.md)."""

from collections.abc import Mapping
from typing import Any


def scalars(report: Mapping[str, Any]) -> dict[str, float]:
    """Figures of a report or of metrics.json by the names of docs/reference/tracking.md."""
    figures = {
        f"{group}/{name}": figure["value"]
        for group in ("accuracy", "word_error")
        for name, figure in report.get(group, {}).items()
    }
    if "speech_gap" in report:
        figures["speech_gap"] = report["speech_gap"]["value"]
    return figures | _text(report) | _speech(report)


def _text(report: Mapping[str, Any]) -> dict[str, float]:
    if "text" not in report:
        return {}
    text = report["text"]
    shares = {f"text/{when}": text[when]["value"] for when in ("before", "after")}
    return shares | {"text/items_below": float(text["items_below"])}


def _speech(report: Mapping[str, Any]) -> dict[str, float]:
    """Figures of tokenizer and codec."""
    hearing = report.get("tokenizer", {}).get("word_error", {})
    figures = {f"tokenizer/{name}_word_error": figure["value"] for name, figure in hearing.items()}
    codec = report.get("codec", {"heard": {}, "rates": {}})
    figures |= {
        f"codec/{group}/{voice}/{kind}/{name}": figure["value"]
        for group, voices in codec["heard"].items()
        for voice, kinds in voices.items()
        for kind, measures in kinds.items()
        for name, figure in measures.items()
    }
    return figures | {f"codec/{name}": float(v) for name, v in codec["rates"].items()}


def speeds(latency: Mapping[str, Any]) -> dict[str, float]:
    """Figures of latency.json by the names of docs/reference/tracking.md."""
    found = {n: latency[n] for n in ("first_audio_s", "real_time_factor") if n in latency}
    found |= {f"codec_{work}": factor for work, factor in latency.get("codec", {}).items()}
    return {f"latency/{name}": float(value) for name, value in found.items()}
