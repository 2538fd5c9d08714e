"""Who speaks, as a vector; vectors of one voice point the same way.

Shapes: S samples at 24 kHz, K vector width.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import Samples

Vector = NDArray[np.float32]


class SpeakerEncoder(Protocol):
    """Samples at 24 kHz to one vector a voice."""

    width: int

    def __call__(self, samples_S: Samples) -> Vector:
        """float32 [width]; alike for clips of one voice."""


def similarity(a_K: Vector, b_K: Vector) -> float:
    """Cosine of the angle between two vectors of one encoder, -1..1."""
    return float(a_K @ b_K / max(float(np.linalg.norm(a_K) * np.linalg.norm(b_K)), 1e-9))
