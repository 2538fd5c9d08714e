"""Numbers of the stage train_tokenizer."""

from typing import Annotated

from pydantic import Field

from moss_speech.params.base import Params, StageParams
from moss_speech.params.fit import FitParams

Ratio = Annotated[float, Field(ge=0, le=1)]


class Attention(Params):
    """A decoder with attention that reads the codes beside CTC while the encoder learns."""

    weight: float = Field(gt=0, lt=1)
    """Its part of the loss; CTC has the rest."""
    layers: int = Field(ge=1, le=12)


class TrainTokenizer(StageParams):
    """Adapting a Whisper encoder to causal hearing and discrete codes."""

    start: str = Field(min_length=1)
    """What to begin with: a Whisper encoder by an asset's name or a folder, which gives all
    widths; or a codec folder, such as the released one, to go on from."""
    keep: bool
    """True takes the codec folder as it is, and nothing is trained."""
    layers: int = Field(ge=1, le=32)
    codes: int = Field(ge=2, le=65536)
    lookahead_frames: int = Field(ge=0, le=1500)
    """Encoder frames (20 ms) that each layer sees ahead; 0 is strictly causal, as published."""
    frozen_layers: int = Field(ge=0, le=32)
    """Layers from the bottom, convolutions included, that stay Whisper's own; 0 trains all."""
    readout_width: int = Field(ge=8, le=4096)
    max_items: int = Field(ge=1)
    """Training utterances at most, drawn by the seed."""
    max_dev_items: int = Field(ge=1)
    """Held-out utterances of each kind for the report."""
    max_item_s: float = Field(gt=0, le=30)
    batch_s: float = Field(gt=0)
    """Seconds of audio in a batch."""
    encoder_lr_ratio: float = Field(gt=0, le=1)
    """Rate of the encoder as a part of the read-out's."""
    distillation: float = Field(ge=0)
    """Weight of the distance to what the encoder gave before it was made causal."""
    commitment: float = Field(ge=0)
    attention: Attention | None
    """Null trains by CTC alone."""
    kmeans_rounds: int = Field(ge=1)
    codebook_decay: Ratio
    dead_below: Ratio
    """A code used less than this part of its fair share restarts at a fresh vector."""
    vector_noise: float = Field(ge=0)
    """Relative deviation of noise on the vectors that the read-out first learns from."""
    noise: float = Field(ge=0)
    """Deviation of noise on the features."""
    time_masks: int = Field(ge=0)
    mask_frames: int = Field(ge=1)
    """Longest time mask in mel frames (10 ms)."""
    readout_fit: FitParams
    """Of the read-out alone, on what the encoder gave before it was made causal."""
    fit: FitParams
    """Of encoder, codebook and read-out together."""
