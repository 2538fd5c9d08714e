"""The probe on two spoken words that are tones: learnable, and never heard in the test's pitch."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from moss_speech.audio import LISTENING, read_audio, write_audio
from moss_speech.codec.model import Codec
from moss_speech.corpus.items import Utterance
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit
from moss_speech.training.probe import Probed, probe_codec
from moss_speech.training.tokenizer import start_codebook
from tests.codec.small import small_encoder
from tests.training.test_tokenizer import FIT, P

RATE_HZ = LISTENING.sample_rate_hz
TONES_HZ = {"low": 300, "high": 2500}
FROZEN = P.model_copy(
    update={"readout_fit": FIT.model_copy(update={"steps": 300, "lr": 1e-2}), "readout_width": 32}
)


def utterance(folder: Path, index: int, split: str) -> Utterance:
    words = ["low" if index >> k & 1 else "high" for k in range(2)]
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    pitch = 1 + 0.01 * (index % 7)
    tones = [0.3 * np.sin(2 * np.pi * TONES_HZ[w] * pitch * time_s) for w in words]
    path = folder / f"{split}-{index}.flac"
    write_audio(path, np.concatenate(tones).astype(np.float32), RATE_HZ)
    return Utterance(
        id=path.stem,
        audio=path,
        duration_s=1.0,
        text=" ".join(words),
        speaker=f"tone:{index % 7}",
        role="question",
        voice_split=split,  # type: ignore[arg-type]
        text_split="train",
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> list[Utterance]:
    folder = tmp_path_factory.mktemp("tones")
    return [utterance(folder, i, split) for split in ("train", "test") for i in range(16)]


@pytest.fixture(scope="module")
def codec(corpus) -> Codec:
    codec = Codec(small_encoder(), None, digest="0" * 64)
    codec.encoder.embed_positions.weight.zero_()  # random ones are louder than what is heard
    heard = torch.cat(codec.vectors([read_audio(u.audio, RATE_HZ) for u in corpus]))
    start_codebook(codec.encoder.codebook, heard, rounds=5, seed=1)
    return codec


def probed(codec: Codec, corpus: list[Utterance], folder: Path) -> list[Probed]:
    return probe_codec(codec, corpus, FROZEN, Fit(FROZEN.readout_fit, 3, folder, SilentTracker()))


def test_probe_reads_unheard_voices_and_leaves_the_codec_alone(codec, corpus, tmp_path):
    before = {k: v.clone() for k, v in codec.encoder.state_dict().items()}
    codes, vectors = probed(codec, corpus, tmp_path / "a")
    print(codes, vectors)
    assert (codes.bits_per_s, vectors.bits_per_s) == (12.5 * 6, 12.5 * 32 * 32)
    assert codes.n == vectors.n == {"voice": 10}
    assert vectors.word_error["voice"] <= 0.2
    assert codes.word_error["voice"] <= 0.2
    assert all(torch.equal(v, before[k]) for k, v in codec.encoder.state_dict().items())
    assert probed(codec, corpus, tmp_path / "b") == [codes, vectors]


def test_corpus_without_test_utterances_is_refused(codec, corpus, tmp_path):
    training = [dataclasses.replace(u, voice_split="train") for u in corpus]
    with pytest.raises(ValueError, match="0 utterances of the test split"):
        probed(codec, training, tmp_path)
