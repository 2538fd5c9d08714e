"""What pages say of a run beside its scores: curves, speed, cost, decisions, where it came from."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from moss_speech.evaluation.pages.render import length
from moss_speech.evaluation.pages.subject import Curve, Lineage, Stage, Subject

_MAX_POINTS = 200
"""Points of a curve that a page draws."""
_LATENCY = {
    "first_audio_s": (" s", "to the first audio of an answer, median"),
    "real_time_factor": ("", "seconds of work for a second of answer"),
}


def latency_tiles(latency: Mapping[str, float]) -> list[tuple[str, str]]:
    """Figures of speed with what they mean; figures without a meaning here are left out."""
    found = ((key, latency[key]) for key in _LATENCY if key in latency)
    return [(f"{v:g}{_LATENCY[k][0]}", _LATENCY[k][1]) for k, v in found if math.isfinite(v)]


def drawn_curves(of_runs: Sequence[Mapping[str, Curve]]) -> list[dict[str, Any]]:
    """Every curve as lines on one scale, one line a run; None where a run has no such curve."""
    names = sorted({name for curves in of_runs for name in curves})
    drawn = (_drawn(name, [_finite(curves.get(name, ())) for curves in of_runs]) for name in names)
    return [curve for curve in drawn if curve is not None]


def _finite(curve: Curve) -> Curve:
    kept = [(step, value) for step, value in curve if math.isfinite(value)]
    every = max(1, math.ceil(len(kept) / _MAX_POINTS))
    return kept[::every] if not kept or every == 1 else [*kept[:-1:every], kept[-1]]


def _drawn(name: str, curves: Sequence[Curve]) -> dict[str, Any] | None:
    points = [point for curve in curves for point in curve]
    if max(map(len, curves)) < 2:
        return None
    last = max(1, *(step for step, _ in points))
    low, high = min(v for _, v in points), max(v for _, v in points)
    height = max(high - low, 1e-9)
    lines = [
        " ".join(f"{100 * s / last:.1f},{38 - 36 * (v - low) / height:.1f}" for s, v in curve)
        for curve in curves
    ]
    ends = [(curve[0][1], curve[-1][1]) if curve else None for curve in curves]
    return {"name": name, "lines": lines, "ends": ends, "steps": last}


def cost(stages: Sequence[Stage]) -> dict[str, Any]:
    """The table of stages with sums over those that ran here; empty without stages."""
    if not stages:
        return {}
    ran = [stage for stage in stages if not stage.made_by]
    cpu = [stage.cpu_s for stage in ran if stage.cpu_s is not None]
    peaks = [stage.peak_mb for stage in stages if stage.peak_mb is not None]
    return {
        "stages": stages,
        "longest_s": max(max(stage.duration_s for stage in stages), 1e-9),
        "duration": length(sum(stage.duration_s for stage in ran)),
        "cpu": length(sum(cpu)) if cpu else "",
        "peak_mb": max(peaks, default=None),
        "n_skipped": len(stages) - len(ran),
    }


def packed_kinds(packs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sequences and rows of each kind in each training stage, by the composition of the packs."""
    stages: dict[str, dict[str, Counter[str]]] = {}
    for row in filter(_is_account, packs):
        kinds = stages.setdefault(row["stage"], {})
        kinds.setdefault(row["kind"], Counter()).update(
            rows=row["rows"], sequences=row["sequences"]
        )
    tables = []
    for stage, kinds in stages.items():
        total = sum(n["rows"] for n in kinds.values())
        shares = [
            (k, n["rows"] / total, n["rows"], n["sequences"]) for k, n in kinds.items() if total
        ]
        tables.append({"stage": stage, "total": total, "rows": sorted(shares, key=lambda r: -r[1])})
    return [table for table in tables if table["rows"]]


def _is_account(row: object) -> bool:
    return (
        isinstance(row, Mapping)
        and all(isinstance(row.get(key), str) for key in ("stage", "kind"))
        and all(isinstance(row.get(key), int) for key in ("rows", "sequences"))
    )


def verdict(lineage: Lineage | None) -> tuple[str, str]:
    """What became of the model, in a word and a sentence; empty if it was never offered."""
    if lineage is None or not lineage.decisions:
        return "", ""
    last = lineage.decisions[-1]
    said = {"committed": "promoted", "refused": "refused", "reverted": "interrupted"}
    word = said.get(last.result, last.result)
    return word, f"version {lineage.version} {word} on {last.when:%Y-%m-%d %H:%M} by {last.who}"


def lineage_rows(subject: Subject) -> list[tuple[str, str]]:
    """Where a model came from, line by line."""
    of = subject.lineage
    if of is None:
        return []
    code = of.commit + (" with uncommitted edits" if of.uncommitted else "")
    rows = [
        ("run", f"{of.run_id}, {of.status}, started {of.started_at:%Y-%m-%d %H:%M} UTC"),
        ("version", f"{of.version} ({', '.join(of.aliases) or 'no alias'})" if of.version else ""),
        ("bundle", of.digest),
        ("code", code),
        ("made at", of.workspace),
        ("cleaned corpus", of.dataset),
    ]
    return [(name, value) for name, value in rows if value]
