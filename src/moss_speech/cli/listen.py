"""Command `probe-codec`: how well speech can be recognised from a codec's codes."""

import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

app = typer.Typer()


@app.command("probe-codec")
@plain_errors
def probe(
    model: Annotated[
        Path | None, typer.Argument(help="Codec or bundle folder; models/codec if left out")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train small recognisers on a frozen codec's codes; print held-out word errors.

    Reads data/clean; the numbers are those of `train_tokenizer` in params.yaml.
    """
    import torch

    from moss_speech.codec.load import load_codec
    from moss_speech.corpus.items import open_utterances
    from moss_speech.params.sections import load_pipeline
    from moss_speech.records import SilentTracker
    from moss_speech.training.launch import Fit
    from moss_speech.training.probe import probe_codec

    root = settings().root
    folder = root / "models" / "codec" if model is None else model.absolute()
    folder = folder / "codec" if (folder / "codec").is_dir() else folder
    os.chdir(root)  # paths of audio are relative to it
    params = load_pipeline(root / "params.yaml")
    p = params.train_tokenizer
    torch.set_num_threads(p.threads)
    codec, utterances = load_codec(folder), list(open_utterances(root / "data" / "clean").values())
    with tempfile.TemporaryDirectory() as run_folder, redirect_stdout(sys.stderr):  # progress
        how = Fit(p.readout_fit, params.seed, Path(run_folder), SilentTracker())
        found = probe_codec(codec, utterances, p, how)
    if as_json:
        typer.echo(json.dumps({"codec": codec.digest, "rows": [asdict(row) for row in found]}))
        return
    sets = list(found[0].word_error)
    typer.echo(f"{'read':28}{'bit/s':>10}" + "".join(f"{name:>10}" for name in sets))
    for row in found:
        errors = "".join(f"{row.word_error[name]:10.4f}" for name in sets)
        typer.echo(f"{row.reads:28}{row.bits_per_s:10.1f}{errors}")
    typer.echo(f"{'utterances':38}" + "".join(f"{found[0].n[name]:10}" for name in sets))
