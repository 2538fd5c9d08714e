"""Markdown of an evaluation, for a pull request: every figure with its interval, goal first."""

from collections.abc import Iterator, Mapping
from typing import Any

from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.pages.about import latency_tiles, lineage_rows, verdict
from moss_speech.evaluation.pages.render import percent, points
from moss_speech.evaluation.pages.rows import Row, share_rows
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.evaluation.suites import REPEAT_TITLES


def summary(subject: Subject) -> str:
    """The figures of one run, then what else is known of it."""
    report = subject.evaluation.report
    lines = ["| figure | right | 95 % | n | goal |", "|---|---|---|---|---|"]
    lines += [
        f"| {cell_text(r.title)} (`{r.name}`) | {_cells(r)} | {_goal(r)} |"
        for r in share_rows(subject.evaluation).values()
    ]
    if words := report.get("word_error"):
        lines += ["", "| words never trained | word error | 95 % | n |", "|---|---|---|---|"]
        lines += [f"| {t} | {_figure(words[n])} |" for n, t in REPEAT_TITLES.items() if n in words]
    lines += ["", *_notes(report), *_origin(subject)]
    if "codec" in report:
        lines += ["", *_codec(report["codec"])]
    return "\n".join(lines) + "\n"


def cell_text(words: str) -> str:
    """Words that stay in one cell of a Markdown table."""
    return " ".join(words.split()).replace("|", "\\|")


def _goal(r: Row) -> str:
    return "" if r.goal is None else f"{'✓' if r.met else '✗'} {r.goal:g}"


def _cells(r: Row) -> str:
    return f"{percent(r.value)} | {percent(r.low)} – {percent(r.high)} | {r.n}"


def _figure(figure: Mapping[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{percent(figure['value'])} | {percent(low)} – {percent(high)} | {figure['n']}"


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    if gap := report.get("speech_gap"):
        low, high = gap["ci95"]
        yield (
            f"- Speaking instead of writing the answer (S→T − S→S): {points(gap['value'])} "
            f"({points(low)} to {points(high)}, n {gap['n']})."
        )
    if text := report.get("text"):
        yield (
            f"- Text before and after speech: {percent(text['before']['value'])}, "
            f"{percent(text['after']['value'])}; {text['items_below']} items got worse."
        )
    if hearing := report.get("tokenizer"):
        yield (
            f"- Tokenizer: {percent(hearing['codes_used'])} of {hearing['n_codes']} codes in use, "
            f"perplexity {hearing['perplexity']:g}."
        )
    if corpus := report.get("corpus"):
        rejects = corpus["rejects"]
        yield (
            f"- Cleaning caught {rejects['deliberate_caught']} of {rejects['deliberate']} items "
            "broken on purpose."
        )


def _origin(subject: Subject) -> Iterator[str]:
    yield from (f"- {value} {label}." for value, label in latency_tiles(subject.latency))
    if said := verdict(subject.lineage)[1]:
        yield f"- Decision: {said}."
    yield from (f"- {name}: {cell_text(value)}" for name, value in lineage_rows(subject))


def _codec(codec: Mapping[str, Any]) -> Iterator[str]:
    yield "| codec and decoder alone | word error | likeness | DNSMOS |"
    yield "|---|---|---|---|"
    for r in codec_rows(codec):
        if r.heading:
            yield f"| *{r.heading}* | | | |"
        shown = " | ".join(f"{c.value} ({c.interval})" if c else "" for c in r.cells[:3])
        yield f"| {r.title} | {shown} |"
