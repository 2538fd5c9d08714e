"""The HTML page of an evaluation: one file with everything in it, rendered from saved records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.examples import Examples
from moss_speech.evaluation.scores import Record
from moss_speech.evaluation.suites import QUESTION_CELLS, REPEAT_TITLES
from moss_speech.params.evaluate import PageParams
from moss_speech.storage import read_json, read_jsonl

MAIN_CELLS = ("t2t", "s2t", "t2s", "s2s_voice", "s2s_wording", "s2s")
_QUESTION_TITLES = {cell.name: cell.title for cell in QUESTION_CELLS}
TITLES = (
    {name: _QUESTION_TITLES[name] for name in MAIN_CELLS}
    | _QUESTION_TITLES
    | {
        "resynthesis": "true answers through codes and decoder",
        "ceiling": "true answers as they are: the judges’ ceiling",
    }
)
"""Every figure that is a share of right answers, in the order of the page."""
_BESIDE = {"whisper": "Whisper", "sphinx": "Sphinx", "codes": "codes", "chance": "chance"}
_HEARING = {
    "voice": "unseen voices",
    "wording": "unseen wordings",
    "both": "both unseen",
    "synthesizer": "a synthesizer never heard",
    "salad": "strings of random words",
    "human": "people",
}
Curve = Sequence[tuple[int, float]]
"""Points (step, value)."""


@dataclass(frozen=True)
class Extras:
    """What a page shows beside the records: it differs from run to run, so DVC never keeps it."""

    latency: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A figure as the page draws it."""

    name: str
    title: str
    value: float
    low: float
    high: float
    n: int
    goal: float | None = None
    chance: float | None = None
    beside: tuple[tuple[str, float], ...] = ()

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is not None and self.value >= self.goal


def render(folder: Path, root: Path, p: PageParams, extras: Extras) -> str:
    """The page of the evaluation in `folder`; questions are read from below `root`."""
    report = read_json(folder / "report.json")
    records = [Record.from_json(row) for row in read_jsonl(folder / "items.jsonl")]
    context = _figures(report) | _examples(folder, root, records, report, p)
    context |= _material(report) | _extras(extras)
    context |= {"codec": codec_rows(report["codec"]), "codec_rates": report["codec"]["rates"]}
    context["sections"] = _sections(context)
    return template("report.html").render(context)


def template(name: str) -> Template:
    """A page of this package with the filters that pages use."""
    environment = Environment(
        loader=PackageLoader("moss_speech.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"pct": percent, "share": _share, "points": _points, "bars": _bars}
    return environment.get_template(name)


def percent(value: float) -> str:
    """A share as people read it: 0.925 is 92.5 %."""
    return f"{100 * value:.1f}".removesuffix(".0") + "\N{NARROW NO-BREAK SPACE}%"


def _points(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0").replace("-", "\N{MINUS SIGN}") + " points"


def _share(value: float) -> str:
    return f"{100 * min(1.0, max(0.0, value)):.2f}%"


def _bars(outline: Iterable[float]) -> str:
    """SVG path of a clip's outline: one stroke a point, 4 units apart, around y = 16."""
    heights = [max(1, round(14 * level)) for level in outline]
    return "".join(f"M{2 + 4 * i} {16 - h}v{2 * h}" for i, h in enumerate(heights))


def row(name: str, title: str, figure: Mapping[str, Any], goal: float | None = None) -> Row:
    """A figure of report.json as a row of the page."""
    low, high = figure["ci95"]
    beside = tuple((label, figure[key]) for key, label in _BESIDE.items() if key in figure)
    value, n, chance = figure["value"], figure["n"], figure.get("chance")
    return Row(name, title, value, low, high, n, goal, chance, beside)


def _figures(report: Mapping[str, Any]) -> dict[str, Any]:
    goals, found = report["method"]["goals"], report["accuracy"]
    rows = {n: row(n, title, found[n], goals.get(n)) for n, title in TITLES.items() if n in found}
    words = report["word_error"]
    gap = report.get("speech_gap")
    return {
        "headline": rows.get("s2s"),
        "main_rows": [rows[name] for name in MAIN_CELLS if name in rows],
        "side_rows": [r for name, r in rows.items() if name not in MAIN_CELLS],
        "repeat_rows": [row(n, t, words[n]) for n, t in REPEAT_TITLES.items() if n in words],
        "gap": row("speech_gap", "", gap) if gap else None,
        "text": report["text"],
        "method": report["method"],
        "method_rows": _method_rows(report["method"]),
    }


def _method_rows(method: Mapping[str, Any]) -> list[tuple[str, str]]:
    judges = method["judges"]
    return [
        ("answers", f"{method['decoding']}; the test split, drawn with seed {method['seed']}"),
        ("judge 1", f"Whisper ({judges['whisper']}): the words that tell the answer from others"),
        ("judge 2", f"Sphinx ({judges['sphinx']}): the whole answer, chosen from all answers"),
        ("figure", "mean of both verdicts; neither recogniser took part in training or cleaning"),
        ("text answers", "right if they are the whole answer: lower case, digits spelt out"),
        ("codes", "right if the answer rendition nearest by edit distance says the right words"),
        ("intervals", f"{method['resamples']} resamples of whole facts and whole voices at once"),
        ("bundle", method["bundle"]),
    ]


def _examples(
    folder: Path, root: Path, records: Sequence[Record], report: Mapping[str, Any], p: PageParams
) -> dict[str, Any]:
    examples = Examples(folder, root, records, report["answers"], p)
    return {
        "n_answered": examples.n_answered,
        "n_failures": examples.n_failures,
        "hero": examples.hero(),
        "failures": examples.failures(TITLES),
        "successes": examples.successes(TITLES),
        "spectra": examples.spectra(),
    }


def _material(report: Mapping[str, Any]) -> dict[str, Any]:
    rejects, hearing = report["corpus"]["rejects"], report["tokenizer"]
    heard = hearing["word_error"]
    shown = {r["flaw"] or r["reason"]: r for r in reversed(rejects["rows"])}
    return {
        "hearing_rows": [row(n, title, heard[n]) for n, title in _HEARING.items() if n in heard],
        "codes": {
            "used": round(hearing["codes_used"] * hearing["n_codes"]),
            "size": hearing["n_codes"],
            "perplexity": hearing["perplexity"],
        },
        "corpus": {
            "composition": report["corpus"]["composition"],
            "n_rejects": len(rejects["rows"]),
            "rejects_shown": sorted(shown.values(), key=lambda r: (r["flaw"] is None, r["id"])),
            "rejects_more": [r for r in rejects["rows"] if r not in shown.values()],
            "reasons": list(rejects["reasons"].items()),
            "n_deliberate": rejects["deliberate"],
            "n_deliberate_caught": rejects["deliberate_caught"],
        },
    }


def _extras(extras: Extras) -> dict[str, Any]:
    found = extras.latency
    latency = [
        (f"{found[key]:g}{unit}", label)
        for key, unit, label in (
            ("first_audio_s", " s", "to the first audio of an answer, median"),
            ("real_time_factor", "", "seconds of work for a second of answer"),
        )
        if key in found
    ]
    curves = [_curve(name, c) for name, c in sorted(extras.curves.items()) if len(c) > 1]
    return {"latency": latency, "curves": curves}


def _curve(name: str, curve: Curve) -> dict[str, Any]:
    steps, values = zip(*curve, strict=True)
    low, high, last = min(values), max(values), max(steps[-1], 1)
    height = max(high - low, 1e-9)
    points = " ".join(f"{100 * s / last:.1f},{38 - 36 * (v - low) / height:.1f}" for s, v in curve)
    return {"name": name, "points": points, "first": values[0], "last": values[-1], "steps": last}


def _sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    optional = ("spectra", "codec", "curves", "latency")
    titles = {
        "scores": "Scores",
        "limits": "Limits",
        "failures": "Failures",
        "successes": "Right answers",
        "spectra": "Spectrograms",
        "tokenizer": "Tokenizer",
        "codec": "Codec",
        "corpus": "Corpus",
        "curves": "Training",
        "latency": "Speed",
        "method": "Method",
    }
    return [(id, title) for id, title in titles.items() if id not in optional or context[id]]
