"""The mark that an answer is synthetic: a comment in files, a header of responses, a short sting.

Everything spoken over HTTP and the realtime protocol is marked as `MOSS_MARK` says. Shapes:
S samples, float32 in -1..1.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from moss_speech.audio import Samples
from moss_speech.settings import MarkKind, settings
from services.served import ModelInfo

HEADER = "x-synthetic-media"
SOURCE = "trainedAlgorithmicMedia"
"""The IPTC digital source type of what a trained model made, as C2PA manifests name it."""

_TONES_HZ = (880.0, 1174.7)
_TONE_S, _REST_S = 0.09, 0.06
_LEVEL = 0.06


@cache
def sting(sample_rate_hz: int) -> Samples:
    """Two soft tones, a fourth apart, and a short rest: 0.24 s."""
    time_S = np.arange(round(_TONE_S * sample_rate_hz)) / sample_rate_hz
    swell_S = np.sin(np.pi * time_S / _TONE_S) ** 2
    tones = [_LEVEL * swell_S * np.sin(2 * np.pi * tone_hz * time_S) for tone_hz in _TONES_HZ]
    rest_S = np.zeros(round(_REST_S * sample_rate_hz))
    samples_S = np.concatenate([*tones, rest_S]).astype(np.float32)
    samples_S.setflags(write=False)
    return samples_S


@dataclass(frozen=True)
class Mark:
    """How answers of one model are marked."""

    kind: MarkKind
    model: ModelInfo

    @property
    def comment(self) -> str:
        """What files and headers say; empty if answers are not marked."""
        if self.kind == "none":
            return ""
        name, version, digest = self.model.name, self.model.version, self.model.digest
        return f"synthetic speech ({SOURCE}); model {name}; version {version}; digest {digest}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of responses that carry speech."""
        return {HEADER: self.comment} if self.comment else {}

    def opening(self, sample_rate_hz: int) -> Samples:
        """What sounds before an answer: the sting, or nothing."""
        return sting(sample_rate_hz) if self.kind == "audible" else np.zeros(0, np.float32)


def mark_of(model: ModelInfo) -> Mark:
    """The mark of a model's answers that this process is set to."""
    return Mark(settings().mark, model)
