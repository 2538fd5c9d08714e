"""What serving a model needs, as a table: the part of `plan` that --serve asks for."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.inference.capacity import ServingPlan, Sizes

_MB, _GB = 1e6, 1e9
_COLUMNS = ("weights", "LM GB", "speech GB", "voice MB", "row kB", "session MB")


def serving_lines(
    sizes: "Sizes", session_rows: int | None, n_voices: int, memory_gb: Sequence[float]
) -> list[str]:
    """A table of types: bytes of weights, voices and sessions, and how many sessions fit."""
    plans, rows = _plans(sizes, session_rows)
    columns = (*_COLUMNS, *(f"in {gb:g} GB" for gb in memory_gb))
    table = [columns, *(_cells(plan, n_voices, memory_gb) for plan in plans)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    plan = plans[0]
    return [
        f"serving, sessions of {rows:,} rows (at most {rows * 0.08 / 60:.1f} min of speech), "
        f"voices: {n_voices}; working memory of a pass comes on top",
        *("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in table),
        f"of a session {plan.speaking_bytes / _MB:,.1f} MB speak, in rooms of "
        f"{plan.room_sessions} of one voice, and {plan.listening_bytes / _MB:,.1f} MB listen; "
        "the rest is the language model's cache",
    ]


def serving_json(
    sizes: "Sizes", session_rows: int | None, n_voices: int, memory_gb: Sequence[float]
) -> str:
    """The same for programs, in bytes."""
    plans, rows = _plans(sizes, session_rows)
    found: list[dict[str, Any]] = [
        asdict(plan)
        | {"session_bytes": plan.session_bytes}
        | {"sessions": {f"{gb:g}": plan.sessions(int(gb * _GB), n_voices) for gb in memory_gb}}
        for plan in plans
    ]
    return json.dumps({"session_rows": rows, "voices": n_voices, "plans": found})


def _plans(sizes: "Sizes", session_rows: int | None) -> "tuple[list[ServingPlan], int]":
    from moss_speech.inference.capacity import plan_serving

    most = min(settings().session_rows, sizes.lm.max_position_embeddings)
    rows = most if session_rows is None else session_rows
    return [plan_serving(sizes, weights, rows) for weights in ("fp32", "bf16", "int8")], rows


def _cells(plan: "ServingPlan", n_voices: int, memory_gb: Sequence[float]) -> tuple[str, ...]:
    return (
        plan.weights,
        f"{plan.lm_bytes / _GB:.2f}",
        f"{plan.speech_bytes / _GB:.2f}",
        f"{plan.voice_bytes / _MB:,.1f}",
        f"{plan.row_bytes / 1000:,.1f}",
        f"{plan.session_bytes / _MB:,.1f}",
        *(f"{plan.sessions(int(gb * _GB), n_voices):,}" for gb in memory_gb),
    )
