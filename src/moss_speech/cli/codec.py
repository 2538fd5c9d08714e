"""Command on codecs as folders: take a released one."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from moss_speech.cli.errors import plain_errors

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
    check_licence(source, accept_unlicensed, "--accept-unlicensed")
    if not (source / "flow" / CAMPPLUS).is_file():
        raise ValueError(f"{source / 'flow' / CAMPPLUS} is missing: {source} is no released codec")
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
