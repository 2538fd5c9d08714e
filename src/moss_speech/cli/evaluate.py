"""Command `evaluate`: the pipeline's own stage, or suites of questions asked of any model."""

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.cli.stages import reproduce
from moss_speech.settings import settings

ModelOrNone = Annotated[
    str | None,
    typer.Argument(help="Registry address, bundle, or released model; default: MOSS_MODEL"),
]
Suites = Annotated[
    list[str] | None,
    typer.Option(help="A suite's folder, or a name below examples/; can be repeated"),
]
Items = Annotated[
    int | None, typer.Option(min=1, help="Ask so many items of each suite, drawn by the seed")
]
Out = Annotated[Path | None, typer.Option(help="Where runs are kept; default: reports/suites")]
Rescore = Annotated[
    Path | None, typer.Option(help="Judge a saved run anew without asking the model")
]
Recogniser = Annotated[
    str | None, typer.Option(help="With --rescore: hear every sound again by this one")
]
Found = list[tuple[Path, dict[str, Any]]]
app = typer.Typer()


@app.command()
@plain_errors
def evaluate(
    model: ModelOrNone = None,
    suite: Suites = None,
    items: Items = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Out = None,
    rescore: Rescore = None,
    recogniser: Recogniser = None,
    force: Annotated[bool, typer.Option(help="Judge even if nothing changed")] = False,
    as_json: Json = False,
) -> None:
    """Judge models/bundle and write reports/; with --suite, ask a model suites of questions."""
    if rescore is not None:
        if suite or model is not None:
            raise ValueError("--rescore judges a saved run: leave MODEL and --suite out")
        _show(_judged_again(rescore, recogniser), as_json)
        return
    if recogniser is not None:
        raise ValueError("--recogniser goes with --rescore; suite.yaml names a run's own")
    if suite:
        with redirect_stdout(sys.stderr):  # progress
            found = list(_asked(model or settings().model, suite, items, seed, out, force))
        _show(found, as_json)
        return
    if model is not None:
        raise ValueError("--suite is missing: which questions to ask the model")
    reproduce("evaluate", force)


def _show(found: Found, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([report | {"folder": str(folder)} for folder, report in found]))
        return
    for folder, report in found:
        for line in (*_lines_of(report), f"  {folder}"):
            typer.echo(line)


def _judged_again(folder: Path, recogniser: str | None) -> Found:
    from moss_speech.evaluation.benchmarks.run import rescore

    return [(run, rescore(run, recogniser)) for run in _runs(folder)]


def _runs(folder: Path) -> list[Path]:
    """A run, or all runs below a folder."""
    if (folder / "run.json").is_file():
        return [folder]
    if not (runs := sorted(path.parent for path in folder.glob("*/run.json"))):
        raise ValueError(f"{folder} holds no run of a suite")
    return runs


def _asked(
    model: str, names: list[str], items: int | None, seed: int, out: Path | None, force: bool
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every suite is read and checked before the model is opened."""
    import torch

    from moss_speech.evaluation.benchmarks.items import open_suite
    from moss_speech.evaluation.benchmarks.run import How, run_suite
    from moss_speech.evaluation.benchmarks.subject import Subject
    from moss_speech.inference.voices import store

    suites = [open_suite(_folder(name)) for name in names]
    twice = {s.about.name for s in suites if sum(s.about.name == o.about.name for o in suites) > 1}
    if twice:
        raise ValueError(f"two suites have the name {sorted(twice)[0]!r}, names must differ")
    torch.set_num_threads(settings().threads)
    subject = Subject.open(_model(model), model, store())
    how = How(seed, items, settings().state / "suites" / "spoken", force)
    target = settings().root / "reports" / "suites" if out is None else out
    for suite in suites:
        folder = target / suite.about.name
        yield folder, run_suite(suite, subject, how, folder)


def _folder(name: str) -> Path:
    root = settings().root
    for folder in (Path(name), root / name, root / "examples" / name):
        if folder.is_dir():
            return folder
    raise ValueError(f"no suite {name!r}: must be a folder, or the name of one in examples/")


def _model(address: str) -> Path:
    """The folder of a model; a released language model stays alone if no codec is named."""
    from moss_speech.inference.released import is_released_lm
    from moss_speech.registry.fetch import fetch_model

    folder = Path(address)
    if settings().codec is None and folder.is_dir() and is_released_lm(folder):
        return folder
    return fetch_model(address)


def _lines_of(report: dict[str, Any]) -> list[str]:
    """The figures of one run for a terminal."""
    about, model = report["suite"], report["model"]
    lines = [f"{about['name']} ({about['kind']}, {report['n_items']} items): {model['address']}"]
    for cell, found in report["cells"].items():
        named = {name: f for name, f in found.items() if isinstance(f, dict) and "ci95" in f}
        lines += [f"  {cell:12} {name:18} {_figure(figure)}" for name, figure in named.items()]
    for name in ("speech_gap", "speech_gap_typed"):
        if name in report:
            lines.append(f"  {name:31} {_figure(report[name])}")
    if left_out := report["left_out"]:
        lines.append(f"  {len(left_out)} left out; the first: {left_out[0]['reason']}")
    return lines


def _figure(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{figure['value']:.3f}  ({low:.3f} to {high:.3f}, n {figure['n']})"
