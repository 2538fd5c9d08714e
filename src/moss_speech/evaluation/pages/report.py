"""The report of one run or of several: which page, which Markdown, which file name."""

import re
from collections.abc import Sequence

from moss_speech.evaluation.pages.comparison import check_comparable, compare, render_comparison
from moss_speech.evaluation.pages.paired import Difference
from moss_speech.evaluation.pages.render import percent, points
from moss_speech.evaluation.pages.single import render_single
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.evaluation.pages.summary import cell_text, summary
from moss_speech.params.evaluate import PageParams

SHOWN = PageParams(failures=24, successes=12, spectrograms=3, max_bytes=8_000_000)
"""What a page holds besides figures when it is made after the run."""
_SAID = {"better": "better", "worse": "**worse**", "unclear": "no clear difference"}


def report_page(subjects: Sequence[Subject]) -> str:
    """One self-contained HTML page; `ValueError` for runs that cannot be compared."""
    if len(subjects) == 1:
        return render_single(subjects[0], SHOWN)
    return render_comparison(subjects, SHOWN)


def report_markdown(subjects: Sequence[Subject]) -> str:
    """The same in short, for a pull request."""
    if len(subjects) == 1:
        return summary(subjects[0])
    check_comparable(subjects)
    lines: list[str] = []
    for against in compare(subjects):
        lines += [
            f"### {against.name} against {subjects[0].name}",
            "",
            f"| figure | {subjects[0].name} | {against.name} | difference | 95 % | n | |",
            "|---|---|---|---|---|---|---|",
            *map(_line, against.differences),
            "",
            f"{against.n_worse} items became worse, {against.n_better} better.",
            "",
        ]
    return "\n".join(lines)


def page_name(subjects: Sequence[Subject]) -> str:
    """A file name that says which runs a page is about."""
    names = (re.sub(r"[^\w.-]+", "-", subject.name).strip("-.") for subject in subjects)
    return f"{'-against-'.join(list(names)[::-1])}.html"[-200:]


def _line(d: Difference) -> str:
    low, high = points(d.low, sign=True), points(d.high, sign=True)
    return (
        f"| {cell_text(d.title)} (`{d.name}`) | {percent(d.base)} | {percent(d.other)} "
        f"| {points(d.value, sign=True)} | {low} to {high} | {d.n} | {_SAID[d.verdict]} |"
    )
