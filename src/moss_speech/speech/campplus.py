"""CAM++: the released codec's speaker encoder, an ONNX file that its owner gives.

Features as published (docs/reference/decoder-format.md, voices): 24 kHz to 16 kHz, Kaldi filter
banks without dither of samples in -1..1, minus their mean over time.
Shapes: S samples · F frames of 10 ms · M mel bands · K vector width.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.compliance import kaldi

from moss_speech.audio import LISTENING, SPEAKING, Samples, resample
from moss_speech.speech.packaged import open_graph
from moss_speech.speech.speaker import Vector

N_MELS = 80
WINDOW_SAMPLES = 400


def filter_banks(samples_S: Samples) -> NDArray[np.float32]:
    """Log filter banks [F, M] of samples at 16 kHz, their mean over time removed.

    Raises `ValueError` for samples that do not fill one window of 25 ms.
    """
    if len(samples_S) < WINDOW_SAMPLES:
        raise ValueError(f"clip of {len(samples_S)} samples, must hold at least {WINDOW_SAMPLES}")
    bands_FM = kaldi.fbank(
        torch.from_numpy(samples_S)[None],
        num_mel_bins=N_MELS,
        dither=0.0,
        sample_frequency=LISTENING.sample_rate_hz,
    )
    return np.asarray((bands_FM - bands_FM.mean(dim=0)).numpy(), np.float32)


class CamPlus:
    """The encoder in a file; `ValueError` for one that is no such graph."""

    width = 192

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise ValueError(f"{file} is missing")
        try:
            self._graph = open_graph(file)
        except Exception as error:  # onnxruntime has an exception class for each way to fail
            raise ValueError(f"{file} is no ONNX graph: {error}") from error
        self._inputs = [put.name for put in self._graph.get_inputs()]
        shapes = [put.shape for put in (*self._graph.get_inputs(), *self._graph.get_outputs())]
        if [shape[-1] for shape in shapes] != [N_MELS, self.width]:
            raise ValueError(
                f"{file} maps {shapes}, must map [1, F, {N_MELS}] to [1, {self.width}]"
            )

    def __call__(self, samples_S: Samples) -> Vector:
        """float32 [192] of a clip at 24 kHz."""
        heard_S = resample(samples_S, SPEAKING.sample_rate_hz, LISTENING.sample_rate_hz)
        bands_1FM = filter_banks(heard_S)[None]
        return np.asarray(self._graph.run(None, {self._inputs[0]: bands_1FM})[0][0], np.float32)
