"""A corpus of speech to time cleaning and encoding on: no two utterances of it sound alike.

Some sentences are spoken once by each of several programs' voices; an utterance is three of them in
a random order, between random pauses and at a random level. Nothing is a duplicate, so that every
rule of cleaning stays as it is in the preset.
Shapes: S samples at 24 kHz.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lhotse import AudioSource, Recording, SupervisionSegment

from moss_speech.audio import SPEAKING, Samples, write_audio
from moss_speech.corpus.manifests import write_manifest
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser
from moss_speech.storage import write_jsonl

SENTENCES = (
    "the river runs past the old mill",
    "she bought three apples at the market",
    "rain is expected later this evening",
    "nobody knows who wrote that letter",
    "please close the window before you leave",
    "the train to the coast is always late",
    "his brother plays the violin quite well",
    "we walked across the bridge at noon",
    "a small bird sat on the garden wall",
    "they painted the kitchen bright yellow",
    "the teacher asked a difficult question",
    "my coat is hanging behind the door",
)
VOICES = (
    *(("flite", name) for name in ("rms", "slt", "awb", "kal16")),
    *(("espeak-ng", name) for name in ("en-gb+m3", "en-us+m1", "en-us+f2", "en-gb+f4")),
)
JOINED = 3
"""Sentences an utterance."""


def _spoken(engine: str, voice: str) -> list[Samples]:
    synthesiser = open_synthesiser(engine, 0)
    return [synthesiser.say(text, voice, Manner()) for text in SENTENCES]


def _utterances(n: int) -> Iterator[tuple[str, str, Samples]]:
    """Speaker, words and samples of each."""
    draw = np.random.default_rng(0)
    clips = [_spoken(*voice) for voice in VOICES]
    for place in range(n):
        which, engine_voice = place % len(VOICES), VOICES[place % len(VOICES)]
        chosen = draw.permutation(len(SENTENCES))[:JOINED]
        parts = []
        for sentence in chosen:
            pause_s = draw.uniform(0.05, 0.6)
            parts += [np.zeros(int(pause_s * SPEAKING.sample_rate_hz), np.float32)]
            parts += [clips[which][sentence]]
        gain = 10 ** (draw.uniform(-12, 0) / 20)
        samples_S = np.asarray(gain * np.concatenate(parts), np.float32)
        noise_S = draw.normal(0, 3e-4, samples_S.size)  # digital silence is rare in recordings
        words = " ".join(SENTENCES[sentence] for sentence in chosen)
        yield ":".join(engine_voice), words, (samples_S + noise_S).astype(np.float32)


def make_corpus(root: Path, n_utterances: int) -> float:
    """Write ROOT/data/corpus; returns the hours of audio in it."""
    folder, rate_hz = root / "data" / "corpus", SPEAKING.sample_rate_hz
    (folder / "audio").mkdir(parents=True)
    recordings, supervisions = [], []
    tags = {"role": "recording", "voice_split": "train", "text_split": "train", "source": "bench"}
    for place, (speaker, words, samples_S) in enumerate(_utterances(n_utterances)):
        id_, seconds = f"bench-{place:06d}", len(samples_S) / rate_hz
        path = folder / "audio" / f"{id_}.flac"
        write_audio(path, samples_S, rate_hz)
        source = AudioSource("file", [0], str(path.relative_to(root)))
        recordings.append(Recording(id_, [source], rate_hz, len(samples_S), seconds))
        supervisions.append(
            SupervisionSegment(id_, id_, 0.0, seconds, 0, words, "en", speaker, custom=dict(tags))
        )
    write_manifest(folder / "recordings.jsonl.gz", recordings)
    write_manifest(folder / "supervisions.jsonl.gz", supervisions)
    write_jsonl(folder / "dialogues.jsonl", [])
    return sum(r.duration for r in recordings) / 3600
