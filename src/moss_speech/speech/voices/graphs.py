"""Synthesisers that are ONNX graphs: Piper (one voice) and Kokoro (many).

Their noise comes from generators inside the graph, seeded when the session is made, so a session
gives the same samples for the same calls in the same order.
Shapes: P phonemes, S samples.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from moss_speech.assets import fetch
from moss_speech.audio import SPEAKING, Samples, resample
from moss_speech.speech.packaged import open_graph
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.phonemes import ipa
from moss_speech.storage import read_json

KOKORO_HZ = 24000
KOKORO_FIXES = {"ʲ": "j", "r": "ɹ", "x": "k", "ɬ": "l", "ɚ": "əɹ"}
"""espeak-ng's phonemes that Kokoro was not trained on."""


def _session(model: Path, seed: int) -> onnxruntime.InferenceSession:
    onnxruntime.set_seed(seed)
    return open_graph(model)


def _speech(audio: NDArray[np.float32], rate_hz: int) -> Samples:
    return resample(audio.reshape(-1), rate_hz, SPEAKING.sample_rate_hz)


class Piper:
    """The Piper voice `joe`; renditions differ by the noise of the graph. Pitch is fixed."""

    name = "piper"

    def __init__(self, seed: int) -> None:
        folder = fetch("piper-joe")
        self._config = read_json(folder / "en_US-joe-medium.onnx.json")
        self._graph = _session(folder / "en_US-joe-medium.onnx", seed)

    def _ids(self, text: str) -> list[int]:
        ids = self._config["phoneme_id_map"]
        known = [p for p in ipa(text, self._config["espeak"]["voice"]) if p in ids]
        spaced = [i for p in known for i in (*ids[p], *ids["_"])]
        return [*ids["^"], *ids["_"], *spaced, *ids["$"]]

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz."""
        if voice != "joe":
            raise ValueError(f"piper has no voice {voice!r}; it has joe")
        ids_1P = np.array([self._ids(text)], dtype=np.int64)
        how = self._config["inference"]
        noise, timing_noise = (how[key] * manner.variety for key in ("noise_scale", "noise_w"))
        scales = [noise, how["length_scale"] / manner.rate, timing_noise]
        feeds = {
            "input": ids_1P,
            "input_lengths": np.array([ids_1P.shape[1]], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
        }
        return _speech(self._graph.run(None, feeds)[0], self._config["audio"]["sample_rate"])


class Kokoro:
    """Kokoro-82M with the voices of its packaged voice file, reading English. Pitch is fixed."""

    name = "kokoro"

    def __init__(self, seed: int) -> None:
        folder = fetch("kokoro")
        self._vocab: dict[str, int] = read_json(folder / "vocab.json")["vocab"]
        self._styles = dict(np.load(folder / "voices_ja.npz"))
        self._graph = _session(folder / "model.onnx", seed)

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz."""
        if voice not in self._styles:
            raise ValueError(f"kokoro has no voice {voice!r}; it has {', '.join(self._styles)}")
        phonemes = "".join(KOKORO_FIXES.get(p, p) for p in ipa(text, "en-us"))
        ids = [self._vocab[p] for p in phonemes if p in self._vocab]
        style_P1D = self._styles[voice]
        feeds = {
            "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": style_P1D[min(len(ids), len(style_P1D) - 1)],
            "speed": np.array([manner.rate], dtype=np.float32),
        }
        return _speech(self._graph.run(None, feeds)[0], KOKORO_HZ)
