"""A small corpus folder with one good spoken item, to which tests add bad ones."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from lhotse import AudioSource, Recording, SupervisionSegment

from moss_speech.audio import SPEAKING, Samples
from moss_speech.corpus.manifests import write_manifest
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite
from moss_speech.storage import write_json, write_jsonl

RATE_HZ = SPEAKING.sample_rate_hz
GOOD = "good"
"""Id of the item that every cleaning must keep."""
SAID = "what color is grass"


@cache
def speech(text: str = SAID, voice: str = "rms") -> Samples:
    """A sentence by a packaged voice, 24 kHz."""
    return Flite().say(text, voice, Manner())


@dataclass
class SmallCorpus:
    """Recordings with one supervision each, and dialogues, below ROOT/data/corpus."""

    root: Path
    recordings: list[Recording] = field(default_factory=list)
    supervisions: list[SupervisionSegment] = field(default_factory=list)
    dialogues: list[dict[str, Any]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The corpus folder."""
        return self.root / "data" / "corpus"

    def audio(self, name: str) -> Path:
        """Where a file of audio lies."""
        path = self.folder / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def say(self, id_: str, samples_S: Samples, **declared: Any) -> None:
        """Add an item with a real file, 16-bit WAV or as `subtype` says."""
        path = self.audio(f"{id_}.wav")
        rate_hz = declared.setdefault("rate_hz", RATE_HZ)
        soundfile.write(path, samples_S, rate_hz, subtype=declared.pop("subtype", "PCM_16"))
        declared.setdefault("seconds", len(samples_S) / rate_hz)
        self.declare(id_, path, **declared)

    def declare(
        self,
        id_: str,
        path: Path | str,
        *,
        text: str = SAID,
        seconds: float = 1.0,
        rate_hz: int = RATE_HZ,
        channels: int = 1,
        speaker: str = "ann",
        language: str = "en",
        **custom: str,
    ) -> None:
        """Add an item to the manifests; its file may be anything."""
        n_samples = int(seconds * rate_hz) if np.isfinite(seconds) else 0
        source = AudioSource("file", list(range(channels)), str(path))
        facts = {"role": "recording", "voice_split": "train", "text_split": "train"} | custom
        facts.setdefault("source", "mine")
        self.recordings.append(Recording(id_, [source], rate_hz, n_samples, seconds))
        words = (text, language, speaker)
        self.supervisions.append(
            SupervisionSegment(id_, id_, 0.0, seconds, 0, *words, custom=facts)
        )

    def write(self) -> Path:
        """Write the manifests; returns the corpus folder."""
        write_manifest(self.folder / "recordings.jsonl.gz", self.recordings)
        write_manifest(self.folder / "supervisions.jsonl.gz", self.supervisions)
        write_jsonl(self.folder / "dialogues.jsonl", self.dialogues)
        write_json(self.folder / "sources.json", [])
        return self.folder


def small_corpus(root: Path) -> SmallCorpus:
    """A corpus with one item that must be kept whatever is added."""
    corpus = SmallCorpus(root)
    corpus.say(GOOD, speech())
    return corpus
