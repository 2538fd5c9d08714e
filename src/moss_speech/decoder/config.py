"""What a decoder folder says about its networks: sizes, rates and the codes they understand."""

from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from moss_speech.audio import AudioFormat
from moss_speech.params.base import Params
from moss_speech.params.decoder import FlowShape, VocoderShape
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


class VocoderConfig(VocoderShape):
    """A vocoder: its shape and the audio it makes."""

    format: AudioFormat

    @model_validator(mode="after")
    def _covers_the_hop(self) -> Self:
        hop = self.format.hop_samples
        if self.n_fft < 2 * hop or (self.n_fft - hop) % 2:
            raise ValueError(f"n_fft is {self.n_fft}, must be even and at least {2 * hop}")
        return self


C = TypeVar("C", bound=Params)


def read_config(folder: Path, cls: type[C]) -> C:
    """Read `config.json` of a folder; a `ValueError` names the file and what is wrong in it."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: {folder} holds no {cls.__name__}")
    try:
        return cls.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is no {cls.__name__}: {error}") from None


def write_config(folder: Path, config: Params) -> None:
    """Write `config.json` into a folder."""
    write_bytes(folder / "config.json", (config.model_dump_json(indent=2) + "\n").encode())
