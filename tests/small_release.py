"""A release as people download it: language model and codec folders, small, with random weights."""

from pathlib import Path

import numpy as np

from moss_speech.audio import write_audio
from moss_speech.decoder.convert import Shapes
from moss_speech.inference.import_codec import import_codec, write_record
from moss_speech.lm.checkpoint import make_checkpoint
from tests.codec.small import small_encoder
from tests.decoder.networks import flow_shape, hift_shape
from tests.decoder.released_folder import write_released
from tests.lm.small import SHAPE
from tests.speech.onnx_graph import write_graph
from tests.tiny_bundle import spoken

SMALL = Shapes(
    flow=flow_shape(speaker="given", speaker_width=192, embedding_rows=80), hift=hift_shape()
)
TERMS = ("--licence", "CC0-1.0", "--consent", "synthetic, nobody's voice")


def write_lm(folder: Path, n_codes: int = 64) -> Path:
    """A language model in the released layout, with its licence file."""
    make_checkpoint(folder, SHAPE, n_tail_layers=1, n_codes=n_codes, seed=1)
    return folder


def write_codec(folder: Path, shapes: Shapes = SMALL, n_codes: int = 64) -> Path:
    """A codec as released: networks as pickles, CAM++ as a real graph, a licence file."""
    graph = folder.with_suffix(".onnx")
    write_graph(graph, np.random.default_rng(0).normal(size=(80, 192)).astype(np.float32))
    encoder = small_encoder(quantize_vocab_size=n_codes)
    write_released(folder, encoder, shapes, n_codes, graph.read_bytes())
    return folder


def write_imported(folder: Path, source: Path) -> Path:
    """A small codec after `moss-speech import-codec`."""
    folder.mkdir()
    import_codec(source, folder, shapes=SMALL)
    write_record(folder, source, "flow-chunk-5", "LICENSE")
    return folder


def write_prompt(file: Path) -> Path:
    """A recording that may become a voice."""
    write_audio(file, spoken(rate_hz=24000), 24000)
    return file
