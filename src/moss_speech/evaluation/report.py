"""What others read of an evaluation: figures for programs, a summary for a pull request, the page.

`reports/evaluation` holds only what the inputs determine. How fast this machine answered lies
beside it in `reports/latency.json`; the page of a whole run, `reports/report.html`, shows both.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moss_speech.evaluation.pages.codec_page import render_codec
from moss_speech.evaluation.pages.saved import open_evaluation
from moss_speech.evaluation.pages.single import render_single
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.evaluation.pages.summary import summary
from moss_speech.evaluation.run import Inputs, Outcome, evaluate
from moss_speech.params.base import load_section, read_yaml
from moss_speech.params.evaluate import Evaluate
from moss_speech.storage import fresh_dir, read_json, write_bytes, write_json

FOLDER, METRICS, LATENCY = Path("evaluation"), Path("metrics.json"), Path("latency.json")
CODEC_PAGE = "codec.html"
_FIGURES = ("accuracy", "word_error", "speech_gap", "text", "tokenizer", "codec")


def write_views(folder: Path, root: Path, p: Evaluate) -> None:
    """Write report.html, codec.html and summary.md beside report.json."""
    subject = Subject("evaluation", open_evaluation(folder, root))
    write_bytes(folder / "report.html", render_single(subject, p.page).encode())
    codec_page = render_codec(folder, p.page.spectrograms)
    write_bytes(folder / CODEC_PAGE, codec_page.encode())
    write_bytes(folder / "summary.md", summary(subject).encode())


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
        write_views(out, root, p)
    return metrics(outcome.report)


def metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report without corpus and method."""
    return {name: report[name] for name in _FIGURES if name in report}


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
