"""How good speech sounds to a listener, without a reference: DNSMOS P.835.

Shapes: S samples at 16 kHz.
"""

from dataclasses import dataclass

import numpy as np

from moss_speech.audio import Samples
from moss_speech.speech.packaged import packaged_graph

GRAPH = ("speechmos", "dnsmos_models/sig_bak_ovr.onnx")
INPUT_SAMPLES = 144160
"""9.01 s at 16 kHz: what the graph listens to; shorter clips are repeated."""
SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""Polynomials from the graph's raw scores to opinion scores, as published with it."""


@dataclass(frozen=True)
class Opinion:
    """Mean opinion scores, 1 (bad) to 5 (excellent)."""

    signal: float
    background: float
    overall: float


def opinion(samples_S: Samples) -> Opinion:
    """DNSMOS of the first 9 s of a clip at 16 kHz; `ValueError` for an empty one."""
    if len(samples_S) == 0:
        raise ValueError("clip holds 0 samples, must hold at least 1")
    heard_1S = np.resize(samples_S, (1, INPUT_SAMPLES)).astype(np.float32)
    signal, background, overall = packaged_graph(*GRAPH).run(None, {"input_1": heard_1S})[0][0]
    return Opinion(
        signal=float(np.polyval(SIGNAL, signal)),
        background=float(np.polyval(BACKGROUND, background)),
        overall=float(np.polyval(OVERALL, overall)),
    )
