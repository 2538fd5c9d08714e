"""A page to listen to what cleaning rejected, by reason: one file, capped in number and size.

What was rejected for personal data is neither shown nor played.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lhotse import CutSet

from moss_speech.audio import LISTENING, Span
from moss_speech.corpus.items import Utterance, utterance_of
from moss_speech.evaluation.pages.render import render
from moss_speech.evaluation.pages.sounds import clip, spectrogram
from moss_speech.storage import read_json, read_jsonl

CLIP_S = 12.0
"""Of a longer item so much is played."""
MAX_BYTES = 8_000_000
"""Sounds and pictures in a page; items beyond it are told of without."""
_HIDDEN = "personal data"
Row = Mapping[str, Any]


def render_rejects(clean: Path, root: Path, reason: str | None, each: int) -> str:
    """The page of a clean folder: at most `each` items a reason, spread over its rows.

    Raises `ValueError` for a reason that rejected nothing.
    """
    rows = read_jsonl(clean / "rejects.jsonl")
    reasons = Counter(row["reason"] for row in rows)
    if reason is not None and reason not in reasons:
        known = ", ".join(sorted(reasons)) or "no reason at all"
        raise ValueError(f"nothing was rejected for {reason!r}; there is {known}")
    shown = {
        name: _spread([row for row in rows if row["reason"] == name], each)
        for name, _ in reasons.most_common()
        if reason in (None, name)
    }
    cuts = _rejected(clean, {row["id"] for some in shown.values() for row in some})
    budget = _Budget(root)
    context = {
        "summary": read_json(clean / "summary.json"),
        "n_rejects": len(rows),
        "sources": _by_source(rows),
        "reasons": [
            {
                "name": name,
                "count": reasons[name],
                "allowed": some[0]["allowed"],
                "items": [budget.item(row, cuts.get(row["id"])) for row in some],
            }
            for name, some in shown.items()
        ],
        "clip_s": CLIP_S,
    }
    return render("rejects.html", context)


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [rows[place] for place in places]


def _by_source(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    counts = Counter((row["source"], row["reason"]) for row in rows)
    return [(source or "(unnamed)", reason, n) for (source, reason), n in sorted(counts.items())]


def _rejected(clean: Path, wanted: set[str]) -> dict[str, Utterance]:
    cuts = CutSet.from_jsonl_lazy(clean / "rejected.jsonl.gz")
    return {cut.id: utterance_of(cut) for cut in cuts if cut.id in wanted}


class _Budget:
    """Makes items of the page until the page is full."""

    def __init__(self, root: Path) -> None:
        self._root, self._left = root, MAX_BYTES

    def item(self, row: Row, u: Utterance | None) -> dict[str, Any]:
        """What the page shows of a rejected item; dialogues have no sound."""
        is_hidden = row["reason"] == _HIDDEN
        shown = {**row, "clip": None, "image": None, "text": "", "heard": "", "speaker": ""}
        if u is None or is_hidden:
            return shown | {"note": "not shown here" if is_hidden else ""}
        shown |= {"text": u.text[:500], "heard": u.tags.get("heard", ""), "speaker": u.speaker}
        return shown | {"duration_s": u.duration_s} | self._sound(u)

    def _sound(self, u: Utterance) -> dict[str, Any]:
        if self._left <= 0:
            return {"note": "not played: the page is full"}
        if u.duration_s > CLIP_S:
            start_s = 0.0 if u.span is None else u.span.start_s
            u = replace(u, span=Span(start_s, CLIP_S))
        rate_hz = LISTENING.sample_rate_hz
        try:
            if not (self._root / u.audio).is_file():
                return {"note": "there is no file"}
            samples_S = u.read(rate_hz, self._root)[: int(CLIP_S * rate_hz)]
        except (ValueError, OSError):
            return {"note": "cannot be played"}
        sound = clip(samples_S, rate_hz)
        image = spectrogram(samples_S, rate_hz) if np.any(samples_S) else None
        self._left -= len(sound.data_uri) + len(image or "")
        return {"clip": sound, "image": image, "note": ""}
