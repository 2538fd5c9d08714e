"""A released codec folder to one that this project opens: every tensor checked, no pickle left."""

import shutil
from pathlib import Path
from typing import Literal

from moss_speech.audio import SPEAKING
from moss_speech.codec.load import load_codec
from moss_speech.decoder.config import FlowConfig, vocoder_config
from moss_speech.decoder.convert import (
    PUBLISHED_SHAPES,
    RELEASED_CHUNKS,
    Shapes,
    convert_flow,
    convert_vocoder,
)
from moss_speech.decoder.load import CAMPPLUS, load_speech_decoder
from moss_speech.licence import licence_files
from moss_speech.storage import write_json

Flow = Literal["flow", "flow-chunk-5", "flow-chunk-25"]
RECORD = "imported.json"
FLOW: Flow = "flow-chunk-5"
"""The released flow network with the shortest chunks."""


def is_released_codec(folder: Path) -> bool:
    """Whether a folder is a codec as it was released, with its decoder's networks as pickles."""
    return (folder / "flow" / CAMPPLUS).is_file() and not (folder / RECORD).is_file()


def import_codec(
    source: Path, folder: Path, flow: Flow = FLOW, shapes: Shapes = PUBLISHED_SHAPES
) -> int:
    """Write a released codec into an existing folder; the number of its codes.

    Raises `ValueError` for what is no released codec, and for the first tensor that does not fit.
    """
    if not (source / "flow" / CAMPPLUS).is_file():
        raise ValueError(f"{source / 'flow' / CAMPPLUS} is missing: {source} is no released codec")
    codec, licences = load_codec(source), licence_files(source)
    values = shapes.flow.model_dump() | {"chunk_codes": RELEASED_CHUNKS[flow]}
    n_codes = codec.config.n_codes
    config = FlowConfig(**values, n_codes=n_codes, codec_digest=codec.digest, format=SPEAKING)
    flow_folder, vocoder_folder = folder / "flow", folder / "flow" / "hift"
    vocoder_folder.mkdir(parents=True)
    convert_flow(source / "flow" / f"{flow}.pt", config, flow_folder)
    vocoder = vocoder_config(shapes.hift, SPEAKING)
    convert_vocoder(source / "flow" / "hift.pt", vocoder, vocoder_folder)
    for path in (source / "config.json", source / "model.safetensors", *licences):
        shutil.copyfile(path, folder / path.name)
    if (features := source / "preprocessor_config.json").is_file():
        shutil.copyfile(features, folder / features.name)
    shutil.copyfile(source / "flow" / CAMPPLUS, flow_folder / CAMPPLUS)
    load_speech_decoder(flow_folder, vocoder_folder)
    return n_codes


def write_record(folder: Path, source: Path, flow: str, licence: str) -> None:
    """Say in an imported folder what it was made from."""
    write_json(folder / RECORD, {"source": str(source), "flow": flow, "licence": licence})
