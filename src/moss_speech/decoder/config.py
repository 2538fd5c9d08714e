"""What a decoder folder says about its networks: sizes, rates and the codes they understand."""

import math
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from moss_speech.audio import AudioFormat
from moss_speech.params.base import Params
from moss_speech.params.decoder import FlowShape, HiftShape, VocosShape
from moss_speech.storage import write_bytes


class FlowConfig(FlowShape):
    """A flow network of one codec: its shape, the number of codes and the audio it makes."""

    n_codes: int = Field(ge=2)
    codec_digest: str
    """Digest of the codec whose codes it was trained on; empty if unknown."""
    format: AudioFormat

    @model_validator(mode="after")
    def _covers_the_codes(self) -> Self:
        if self.n_codes > self.embedding_rows:
            raise ValueError(
                f"embedding_rows is {self.embedding_rows}, must be >= n_codes ({self.n_codes})"
            )
        if self.speaker == "mel-statistics" and self.speaker_width != 2 * self.format.n_mels:
            raise ValueError(
                f"speaker_width is {self.speaker_width}, must be {2 * self.format.n_mels} "
                "(mean and deviation of each mel band)"
            )
        return self


class VocosConfig(VocosShape):
    """A vocoder of windows: its shape and the audio it makes."""

    format: AudioFormat

    @model_validator(mode="after")
    def _covers_the_hop(self) -> Self:
        hop = self.format.hop_samples
        if self.n_fft < 2 * hop or (self.n_fft - hop) % 2:
            raise ValueError(f"n_fft is {self.n_fft}, must be even and at least {2 * hop}")
        return self


class HiftConfig(HiftShape):
    """A vocoder with a harmonic source: its shape and the audio it makes."""

    format: AudioFormat

    @property
    def hop_samples(self) -> int:
        """Samples between the spectra of source and output."""
        return self.format.hop_samples // math.prod(self.upsample_rates)

    @model_validator(mode="after")
    def _covers_the_hop(self) -> Self:
        rates, hop = math.prod(self.upsample_rates), self.format.hop_samples
        if hop % rates or self.n_fft != 4 * self.hop_samples:
            raise ValueError(
                f"upsample_rates {self.upsample_rates} (product {rates}) and n_fft {self.n_fft}: "
                f"product times n_fft / 4 must be the hop of {hop} samples"
            )
        return self


VocoderConfig = Annotated[VocosConfig | HiftConfig, Field(discriminator="kind")]
"""A vocoder: its shape and the audio it makes."""


def vocoder_config(shape: VocosShape | HiftShape, format: AudioFormat) -> VocosConfig | HiftConfig:
    """The config of a vocoder of this shape for this audio."""
    made: VocosConfig | HiftConfig = TypeAdapter(VocoderConfig).validate_python(
        shape.model_dump() | {"format": format}
    )
    return made


def read_flow_config(folder: Path) -> FlowConfig:
    """Read `config.json` of a decoder folder; `ValueError` names what is wrong in it."""
    return _read(folder, TypeAdapter(FlowConfig), "decoder")


def read_vocoder_config(folder: Path) -> VocosConfig | HiftConfig:
    """Read `config.json` of a vocoder folder; `ValueError` names what is wrong in it."""
    return _read(folder, TypeAdapter(VocoderConfig), "vocoder")


C = TypeVar("C")


def _read(folder: Path, config: TypeAdapter[C], what: str) -> C:
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: {folder} holds no {what}")
    try:
        return config.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is no {what}'s config: {error}") from None


def write_config(folder: Path, config: Params) -> None:
    """Write `config.json` into a folder."""
    write_bytes(folder / "config.json", (config.model_dump_json(indent=2) + "\n").encode())
