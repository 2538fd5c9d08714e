"""Commands on codec folders: take a released one, tell how much speech its codes hold."""

import json
import os
import shutil
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

RECORD = "imported.json"


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
    from moss_speech.codec.load import load_codec
    from moss_speech.decoder.load import CAMPPLUS, load_speech_decoder
    from moss_speech.licence import check_licence, licence_files
    from moss_speech.storage import fresh_dir, require_new, write_json

    require_new(out)
    if not (source / "flow" / CAMPPLUS).is_file():
        raise ValueError(f"{source / 'flow' / CAMPPLUS} is missing: {source} is no released codec")
    check_licence(source, accept_unlicensed, "--accept-unlicensed")
    codec = load_codec(source)
    licences = licence_files(source)
    with fresh_dir(out) as folder:
        (folder / "flow" / "hift").mkdir(parents=True)
        _convert(source, folder, flow, shapes, codec.config.n_codes, codec.digest)
        for path in (source / "config.json", source / "model.safetensors", *licences):
            shutil.copyfile(path, folder / path.name)
        if (features := source / "preprocessor_config.json").is_file():
            shutil.copyfile(features, folder / features.name)
        shutil.copyfile(source / "flow" / CAMPPLUS, folder / "flow" / CAMPPLUS)
        names = ", ".join(path.name for path in licences)
        licence = names or "none found; accepted by --accept-unlicensed"
        write_json(folder / RECORD, {"source": str(source), "flow": flow, "licence": licence})
        load_speech_decoder(folder / "flow", folder / "flow" / "hift")
    typer.echo(f"{out} ({flow}, {codec.config.n_codes:,} codes, licence: {licence})")


def _convert(
    source: Path, folder: Path, flow: str, shapes: Path | None, n_codes: int, digest: str
) -> None:
    """Write the decoder and the vocoder into their folders."""
    from moss_speech.audio import SPEAKING
    from moss_speech.decoder.config import FlowConfig, vocoder_config
    from moss_speech.decoder.convert import (
        PUBLISHED_SHAPES,
        RELEASED_CHUNKS,
        Shapes,
        convert_flow,
        convert_vocoder,
    )
    from moss_speech.params.base import validate_section
    from moss_speech.storage import read_json

    sizes = PUBLISHED_SHAPES
    if shapes is not None:
        sizes = validate_section(read_json(shapes), Shapes, str(shapes))
    values = sizes.flow.model_dump() | {"chunk_codes": RELEASED_CHUNKS[flow]}
    config = FlowConfig(**values, n_codes=n_codes, codec_digest=digest, format=SPEAKING)
    convert_flow(source / "flow" / f"{flow}.pt", config, folder / "flow")
    vocoder = vocoder_config(sizes.hift, SPEAKING)
    convert_vocoder(source / "flow" / "hift.pt", vocoder, folder / "flow" / "hift")


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
