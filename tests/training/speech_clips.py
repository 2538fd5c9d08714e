"""A corpus of short tones on disk, for the trainings of decoder and vocoder."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import SPEAKING, write_audio
from moss_speech.corpus.items import Role, Utterance
from moss_speech.params.fit import FitParams
from moss_speech.training.clips import Clips

N_CODES = 16


def utterance(index: int, speaker: str, role: Role, split: str = "train") -> Utterance:
    return Utterance(
        id=f"{speaker}-{role}-{index}",
        audio=Path(f"{speaker}-{role}-{index}.flac"),
        duration_s=0.5,
        text="tone",
        speaker=speaker,
        role=role,
        voice_split="train",
        text_split=split,  # type: ignore[arg-type]
    )


def utterances() -> list[Utterance]:
    made = [utterance(i, "joe", "answer") for i in range(3)]
    made += [utterance(i, "joe", "question") for i in range(2)]
    made += [utterance(i, f"other{i}", "question") for i in range(3)]
    return [*made, utterance(9, "joe", "answer", split="dev")]


def clips(folder: Path) -> Clips:
    for i, u in enumerate(utterances()):
        time = np.arange(9000 + 1700 * i) / SPEAKING.sample_rate_hz
        tone = 0.3 * np.sin(2 * np.pi * (150 + 40 * i) * time) * np.sin(9 * time)
        write_audio(folder / u.audio, tone.astype(np.float32), SPEAKING.sample_rate_hz)
    return Clips(utterances(), folder, SPEAKING)


def codes_of(clip: str) -> NDArray[np.int64]:
    seed = sum(clip.encode())
    return np.random.default_rng(seed).integers(N_CODES, size=4 + seed % 7)


def fit_params(steps: int, checkpoint_steps: int = 3, average_decay: float = 0.5) -> FitParams:
    return FitParams(
        steps=steps,
        lr=3e-3,
        final_lr_ratio=0.1,
        warmup_steps=2,
        weight_decay=0.01,
        beta2=0.99,
        clip_norm=1.0,
        average_decay=average_decay,
        precision="fp32",
        checkpoint_steps=checkpoint_steps,
        log_steps=5,
    )
