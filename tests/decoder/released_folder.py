"""Codec folders in the released layout with random weights."""

from pathlib import Path

import torch

from moss_speech.audio import SPEAKING
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.load import save_codec
from moss_speech.decoder.config import FlowConfig, vocoder_config
from moss_speech.decoder.convert import Shapes
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.load import new_vocoder
from tests.decoder.networks import flow_shape, hift_shape


def write_released(
    folder: Path,
    encoder: Encoder,
    shapes: Shapes,
    n_codes: int,
    campplus: bytes = b"speaker network",
) -> None:
    """A released codec folder with random weights."""
    (folder / "flow").mkdir(parents=True)
    save_codec(folder, encoder, None)
    (folder / "LICENSE").write_text("free")
    config = FlowConfig(
        **shapes.flow.model_dump(), n_codes=n_codes, codec_digest="", format=SPEAKING
    )
    for i, name in enumerate(("flow", "flow-chunk-5", "flow-chunk-25")):
        torch.manual_seed(i)
        extra = {"epoch": 1, "step": 2} if i else {}
        torch.save(FlowNetwork(config).state_dict() | extra, folder / "flow" / f"{name}.pt")
    vocoder = new_vocoder(vocoder_config(shapes.hift, SPEAKING))
    torch.save(vocoder.state_dict(), folder / "flow" / "hift.pt")
    (folder / "flow" / "campplus.onnx").write_bytes(campplus)
    (folder / "flow" / "config.yaml").write_text("flow: !new:os.system [exit]\n")


SMALL = Shapes(
    flow=flow_shape(speaker="given", speaker_width=12, embedding_rows=80), hift=hift_shape()
)
