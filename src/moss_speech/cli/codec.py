"""Commands on codec folders: take a released one, tell how much speech its codes hold."""

import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

app = typer.Typer()


@app.command("import-codec")
@plain_errors
def import_codec(
    source: Annotated[Path, typer.Argument(help="A released codec folder")],
    out: Annotated[Path, typer.Argument(help="A new folder")],
    flow: Annotated[
        Literal["flow", "flow-chunk-5", "flow-chunk-25"],
        typer.Option(help="Which flow network: offline, or trained for chunks of so many codes"),
    ] = "flow-chunk-5",
    shapes: Annotated[
        Path | None,
        typer.Option(help="JSON with the sizes `flow` and `hift`, if they are not the published"),
    ] = None,
    accept_unlicensed: Annotated[
        bool, typer.Option("--accept-unlicensed", help="Take weights without a licence file")
    ] = False,
) -> None:
    """Turn a released codec into folders that this project opens, checking every tensor."""
    from moss_speech.decoder.convert import PUBLISHED_SHAPES, Shapes
    from moss_speech.inference.import_codec import import_codec as take
    from moss_speech.inference.import_codec import write_record
    from moss_speech.licence import check_licence, licence_files
    from moss_speech.params.base import validate_section
    from moss_speech.storage import fresh_dir, read_json, require_new

    require_new(out)
    check_licence(source, accept_unlicensed, "--accept-unlicensed")
    sizes = PUBLISHED_SHAPES
    if shapes is not None:
        sizes = validate_section(read_json(shapes), Shapes, str(shapes))
    names = ", ".join(path.name for path in licence_files(source))
    licence = names or "none found; accepted by --accept-unlicensed"
    with fresh_dir(out) as folder:
        n_codes = take(source, folder, flow, sizes)
        write_record(folder, source, flow, licence)
    typer.echo(f"{out} ({flow}, {n_codes:,} codes, licence: {licence})")


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
