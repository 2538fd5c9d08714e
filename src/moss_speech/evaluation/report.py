"""What others read of an evaluation: figures for programs, a summary for a pull request, the page.

`reports/evaluation` holds only what the inputs determine. How fast this machine answered lies
beside it in `reports/latency.json`; the page that `write_page` makes shows both.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moss_speech.evaluation.codec_page import render_codec
from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.page import TITLES, Curve, Extras, percent, render
from moss_speech.evaluation.run import Inputs, Outcome, evaluate
from moss_speech.evaluation.suites import REPEAT_TITLES
from moss_speech.params.base import load_section, read_yaml
from moss_speech.params.evaluate import Evaluate
from moss_speech.storage import fresh_dir, read_json, write_bytes, write_json

FOLDER, METRICS, LATENCY = Path("evaluation"), Path("metrics.json"), Path("latency.json")
CODEC_PAGE = "codec.html"
_FIGURES = ("accuracy", "word_error", "speech_gap", "text", "tokenizer", "codec")


def write_views(folder: Path, root: Path, p: Evaluate, report: Mapping[str, Any]) -> None:
    """Write report.html, codec.html and summary.md beside report.json."""
    page = render(folder, root, p.page, Extras())
    write_bytes(folder / "report.html", page.encode())
    codec_page = render_codec(folder, p.page.spectrograms)
    write_bytes(folder / CODEC_PAGE, codec_page.encode())
    write_bytes(folder / "summary.md", summary(report).encode())


def write_figures(reports: Path, outcome: Outcome) -> None:
    """Write metrics.json, which gates read, and latency.json into the folder `reports`."""
    write_json(reports / METRICS, metrics(outcome.report))
    latency = asdict(outcome.latency) if outcome.latency else {}
    write_json(reports / LATENCY, latency | {"codec": outcome.codec_speed})


def evaluate_bundle(root: Path, bundle: Path, target: Path) -> dict[str, Any]:
    """Evaluate any bundle on the corpus of a project root; writes `target`, returns the figures.

    Raises `ValueError` for a folder that is no bundle or a root whose stages have not run.
    """
    params = root / "params.yaml"
    p, seed = load_section(params, "evaluate", Evaluate), read_yaml(params)["seed"]
    inputs = Inputs.of(root, bundle)
    with fresh_dir(target) as out:
        outcome = evaluate(inputs, p, seed, out)
        write_views(out, root, p, outcome.report)
    return metrics(outcome.report)


def metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report without corpus and method."""
    return {name: report[name] for name in _FIGURES if name in report}


def scalars(report: Mapping[str, Any]) -> dict[str, float]:
    """Figures by one name each, as the tracker compares them between runs."""
    figures = {
        f"{group}/{name}": figure["value"]
        for group in ("accuracy", "word_error")
        for name, figure in report[group].items()
    }
    hearing = report["tokenizer"]["word_error"].items()
    figures |= {f"tokenizer/{name}_word_error": figure["value"] for name, figure in hearing}
    figures |= {
        f"codec/{group}/{voice}/{kind}/{name}": figure["value"]
        for group, voices in report["codec"]["heard"].items()
        for voice, kinds in voices.items()
        for kind, measures in kinds.items()
        for name, figure in measures.items()
    }
    figures |= {f"codec/{name}": float(v) for name, v in report["codec"]["rates"].items()}
    figures["text/items_below"] = float(report["text"]["items_below"])
    return figures


def latest_report(root: Path) -> dict[str, Any]:
    """Figures of the newest evaluation below a project root, with this machine's latency.

    Raises `ValueError` if nothing was evaluated yet.
    """
    reports = root / "reports"
    if not (reports / METRICS).is_file():
        raise ValueError(f"{reports / METRICS} does not exist: run `moss-speech train evaluate`")
    found: dict[str, Any] = read_json(reports / METRICS)
    latency = reports / LATENCY
    return found | ({"latency": read_json(latency)} if latency.is_file() else {})


def write_page(root: Path, curves: Mapping[str, Curve]) -> Path:
    """Render the newest evaluation with latency and training curves to reports/report.html."""
    p = load_section(root / "params.yaml", "evaluate", Evaluate)
    latency = latest_report(root).get("latency", {})
    page = render(root / "reports" / FOLDER, root, p.page, Extras(latency, curves))
    target = root / "reports" / "report.html"
    write_bytes(target, page.encode())
    return target


def summary(report: Mapping[str, Any]) -> str:
    """Markdown for a pull request: every figure with its interval, goal first."""
    goals, found, words = report["method"]["goals"], report["accuracy"], report["word_error"]
    lines = ["| figure | right | 95 % | n | goal |", "|---|---|---|---|---|"]
    for name, f in ((name, found[name]) for name in TITLES if name in found):
        goal = (
            f"{'✓' if f['value'] >= goals[name] else '✗'} {goals[name]:g}" if name in goals else ""
        )
        lines.append(f"| {TITLES[name]} (`{name}`) | {_cells(f)} | {goal} |")
    lines += ["", "| words never trained | word error | 95 % | n |", "|---|---|---|---|"]
    lines += [f"| {t} | {_cells(words[n])} |" for n, t in REPEAT_TITLES.items() if n in words]
    text, hearing = report["text"], report["tokenizer"]
    rejects = report["corpus"]["rejects"]
    lines += [
        "",
        f"- Text before and after speech: {percent(text['before']['value'])}, "
        f"{percent(text['after']['value'])}; {text['items_below']} items got worse.",
        f"- Tokenizer: {percent(hearing['codes_used'])} of {hearing['n_codes']} codes in use, "
        f"perplexity {hearing['perplexity']:g}.",
        f"- Cleaning caught {rejects['deliberate_caught']} of {rejects['deliberate']} items "
        "broken on purpose.",
    ]
    lines += [
        "",
        "| codec and decoder alone | word error | likeness | DNSMOS |",
        "|---|---|---|---|",
    ]
    for r in codec_rows(report["codec"]):
        shown = " | ".join(f"{c.value} ({c.interval})" if c else "" for c in r.cells[:3])
        lines += [f"| *{r.heading}* | | | |"] if r.heading else []
        lines.append(f"| {r.title} | {shown} |")
    return "\n".join(lines) + "\n"


def _cells(figure: Mapping[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{percent(figure['value'])} | {percent(low)} – {percent(high)} | {figure['n']}"
