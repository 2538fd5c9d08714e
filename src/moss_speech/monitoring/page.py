"""The monitor's page: figures and counts in Markdown; no sound, no text, nobody's id."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from moss_speech.monitoring.canary import Asked
from moss_speech.monitoring.findings import Finding


@dataclass(frozen=True)
class Look:
    """What one look saw."""

    begin: datetime
    end: datetime
    findings: Sequence[Finding]
    asked: Sequence[Asked]
    set_aside: Counter[str]
    notes: Sequence[str]
    """What was not looked at, and why."""


_MEANING = {
    "reference": "part of the reference",
    "compared": "no drift",
    "few": "too few to compare",
    "canary": "ok",
}


def write_page(look: Look) -> str:
    """The page of a look."""
    drifted = [finding for finding in look.findings if finding.drifted]
    head = f"# Monitor: {len(drifted)} alarms" if drifted else "# Monitor: no alarm"
    parts = [
        head,
        f"Turns that ended from {look.begin:%F %H:%M} to {look.end:%F %H:%M} UTC.",
        "\n".join(f"- **{finding}**" for finding in drifted),
        _table(look.findings),
        _canaries(look.asked),
        _set_aside(look.set_aside),
        "\n".join(f"- {note}" for note in look.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _number(value: float | None, places: int = 3) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _table(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No recorded turns and no canaries."
    lines = [
        "| figure | version | n | now | reference | distance | p | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for f in findings:
        said = "**ALARM**" if f.drifted else _MEANING[f.role]
        p = "" if f.p is None else f"{f.p:.2g}"
        numbers = (_number(f.value), _number(f.reference), _number(f.distance, 2), p)
        lines.append(f"| {f.figure} | {f.version} | {f.n} | {' | '.join(numbers)} | {said} |")
    return "\n".join(lines)


def _canaries(asked: Sequence[Asked]) -> str:
    if not asked:
        return ""
    lines = ["| canary | right | heard | first sound, s |", "|---|---|---|---|"]
    for a in asked:
        right = "yes" if a.right else "no"
        lines.append(f"| {_plain(a.id)} | {right} | {a.said} | {_number(a.first_s, 2)} |")
    return "\n".join(lines)


def _set_aside(counts: Counter[str]) -> str:
    if not counts:
        return ""
    rows = [f"| {_plain(reason)} | {n} |" for reason, n in counts.most_common()]
    return "\n".join(["| turns set aside because | n |", "|---|---|", *rows])


def _plain(text: str) -> str:
    """Text that ends no cell and begins no markup."""
    return text.replace("|", "/").replace("\n", " ").replace("<", "(").replace(">", ")")
