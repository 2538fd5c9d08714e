"""A plain Lhotse pipeline that measures and hears what our cleaning does, as far as it goes.

It is what one writes with Lhotse and the packages that it leads to: a CutSet that is resampled,
silero-vad, pyloudnorm, the share of clipped samples; then faster-whisper and DNSMOS on the sample.
One process of one thread, with the same models, thresholds and listened share. Duplicates and leaks
between splits are not looked for, which ours does beside.
Shapes: S samples at 16 kHz.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import torch
from faster_whisper import WhisperModel
from lhotse import CutSet, RecordingSet, SupervisionSet
from lhotse.cut import Cut
from rapidfuzz.distance import Levenshtein
from silero_vad import get_speech_timestamps, load_silero_vad
from silero_vad.utils_vad import get_speech_timestamps_from_probs

from moss_speech.assets import fetch
from moss_speech.audio import LISTENING, Samples
from moss_speech.params.clean import Clean
from moss_speech.speech.quality import opinion
from moss_speech.speech.text import normalise

RATE_HZ = LISTENING.sample_rate_hz
FindSpeech = Callable[[Samples], list[dict[str, Any]]]


@dataclass(frozen=True)
class LhotseTook:
    """Seconds, once the models are open, and what was kept."""

    windows_s: float
    """To measure, with silero-vad's graph called for each window, as its documentation does."""
    batched_s: float
    """The same with its graph for many windows, which ours uses too."""
    listening_s: float
    hours: float
    given: frozenset[str]
    kept: frozenset[str]


def _by_windows() -> FindSpeech:
    graph = load_silero_vad(onnx=True)
    return lambda samples_S: get_speech_timestamps(torch.from_numpy(samples_S), graph)


def _batched() -> FindSpeech:
    graph = load_silero_vad(sequence=True)
    return lambda samples_S: get_speech_timestamps_from_probs(
        graph.audio_forward(samples_S).tolist(), audio_length_samples=len(samples_S)
    )


def _sounds_right(cut: Cut, find_speech: FindSpeech, p: Clean) -> bool:
    """Decode, resample, find speech, measure loudness and clipping."""
    samples_S = cut.load_audio()[0]
    speech = find_speech(samples_S)
    speech_s = (speech[-1]["end"] - speech[0]["start"]) / RATE_HZ if speech else 0.0
    loudness = pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples_S)
    clipped = float(np.mean(np.abs(samples_S) >= p.clip_level))
    return (
        p.duration_s[0] <= cut.duration <= p.duration_s[1]
        and speech_s >= p.min_speech_s
        and math.isfinite(loudness)
        and p.loudness_lufs[0] <= loudness <= p.loudness_lufs[1]
        and clipped <= p.max_clipped_share
    )


def _reads_right(cut: Cut, whisper: WhisperModel, p: Clean) -> bool:
    """Hear the words, greedily as ours does, and judge the quality."""
    samples_S = cut.load_audio()[0]
    pieces, _ = whisper.transcribe(samples_S, language="en", beam_size=1, temperature=0)
    heard = normalise(" ".join(piece.text for piece in pieces))
    error = Levenshtein.normalized_distance(normalise(cut.supervisions[0].text), heard)
    return error <= p.max_letter_error and opinion(samples_S).overall >= p.min_quality


def lhotse_clean(root: Path, p: Clean, n_cuts: int) -> LhotseTook:
    """Clean the first cuts of the corpus of a root into ROOT/lhotse.jsonl.gz."""
    corpus, sample = root / "data" / "corpus", p.sample or n_cuts
    manifests = CutSet.from_manifests(
        recordings=RecordingSet.from_file(corpus / "recordings.jsonl.gz"),
        supervisions=SupervisionSet.from_file(corpus / "supervisions.jsonl.gz"),
    )
    cuts = manifests.subset(first=n_cuts).with_recording_path_prefix(root).resample(RATE_HZ)
    whisper = WhisperModel(str(fetch(p.recognisers[0])), compute_type="int8", cpu_threads=1)
    times_s, right = [], list[Cut]()
    for find_speech in (_by_windows(), _batched()):
        began_s = time.perf_counter()
        right = [cut for cut in cuts if _sounds_right(cut, find_speech, p)]
        times_s.append(time.perf_counter() - began_s)
    began_s = time.perf_counter()
    chosen = set(np.linspace(0, len(right) - 1, min(sample, len(right)), dtype=int).tolist())
    kept = [c for n, c in enumerate(right) if n not in chosen or _reads_right(c, whisper, p)]
    CutSet.from_cuts(kept).to_file(root / "lhotse.jsonl.gz")
    listening_s = time.perf_counter() - began_s
    hours = sum(cut.duration for cut in cuts) / 3600
    ids = [frozenset(cut.supervisions[0].id for cut in some) for some in (cuts, kept)]
    return LhotseTook(*times_s, listening_s, hours, *ids)
