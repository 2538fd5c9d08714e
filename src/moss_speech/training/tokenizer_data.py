"""What the tokenizer hears while it trains: features and spellings in batches of like length.

Shapes: B batch · M mel bands · F mel frames · N codes · L characters of the longest item.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from moss_speech.audio import AudioFormat, read_audio
from moss_speech.codec.features import log_mel, pad_features
from moss_speech.codec.readout import FRAMES_PER_CODE, Alphabet
from moss_speech.corpus.items import Utterance
from moss_speech.records import report_progress

_REPORT_EVERY = 500
_LENGTH_JITTER = 0.1


@dataclass(frozen=True)
class Spoken:
    """One utterance ready for training."""

    mel_MF: Tensor
    """Half precision, to fit a whole corpus into memory."""
    n_codes: int
    text: str
    characters: list[int]


@dataclass(frozen=True)
class SpokenBatch:
    """Padded features with their spellings."""

    mel_BMF: Tensor
    codes_B: Tensor
    characters_BL: Tensor
    n_characters_B: Tensor

    def to(self, device: torch.device) -> "SpokenBatch":
        """The batch on a device."""
        return SpokenBatch(*(value.to(device) for value in vars(self).values()))


def can_be_spelt(utterance: Utterance, alphabet: Alphabet, form: AudioFormat) -> bool:
    """Whether CTC can write an utterance's text: known characters, and room for them."""
    text = utterance.text
    if not text or set(text) - set(alphabet.characters):
        return False
    repeats = sum(a == b for a, b in pairwise(text))
    frames = int(utterance.duration_s * form.codes_per_s) * FRAMES_PER_CODE
    return len(text) + repeats <= frames


def load_spoken(
    utterances: Iterable[Utterance], alphabet: Alphabet, form: AudioFormat
) -> list[Spoken]:
    """Read audio and compute features; errors name the file."""
    chosen = list(utterances)
    spoken = []
    for done, utterance in enumerate(chosen, 1):
        mel_MF = log_mel(read_audio(utterance.audio, form.sample_rate_hz), form)
        n_codes = mel_MF.shape[-1] // form.frames_per_code
        text = utterance.text
        spoken.append(Spoken(mel_MF.half(), n_codes, text, alphabet.encode(text)))
        if done % _REPORT_EVERY == 0 or done == len(chosen):
            report_progress(done, len(chosen), "features")
    return spoken


def collate(items: list[Spoken], form: AudioFormat) -> SpokenBatch:
    """One padded batch."""
    mel_BMF, codes_B = pad_features([item.mel_MF for item in items], form.frames_per_code)
    longest = max(len(item.characters) for item in items)
    characters = [item.characters + [0] * (longest - len(item.characters)) for item in items]
    return SpokenBatch(
        mel_BMF=mel_BMF.float(),
        codes_B=codes_B,
        characters_BL=torch.tensor(characters),
        n_characters_B=torch.tensor([len(item.characters) for item in items]),
    )


class LengthBatches:
    """Batches of at most `batch_codes` codes as a pure function of the step.

    Every epoch has its own order; items of a batch are of like, not equal, length.
    """

    def __init__(self, items: list[Spoken], batch_codes: int, form: AudioFormat, seed: int) -> None:
        if not items:
            raise ValueError("there are 0 utterances to train on, must be at least 1")
        self._items, self._batch_codes = items, batch_codes
        self._form, self._seed = form, seed
        self._epochs = [self._plan(0)]

    def __call__(self, step: int) -> SpokenBatch:
        """The batch of a step."""
        for epoch in range(step + 1):
            if epoch == len(self._epochs):
                self._epochs.append(self._plan(epoch))
            if step < len(self._epochs[epoch]):
                return collate([self._items[i] for i in self._epochs[epoch][step]], self._form)
            step -= len(self._epochs[epoch])
        raise AssertionError("an epoch without a batch")

    def _plan(self, epoch: int) -> list[list[int]]:
        draw = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        jitter = 1 + _LENGTH_JITTER * torch.rand(len(self._items), generator=draw)
        codes = torch.tensor([item.n_codes for item in self._items])
        batches: list[list[int]] = []
        longest = 0
        for i in (codes * jitter).argsort().tolist():
            longest = max(longest, self._items[i].n_codes)
            if batches and (len(batches[-1]) + 1) * longest <= self._batch_codes:
                batches[-1].append(i)
            else:
                batches.append([i])
                longest = self._items[i].n_codes
        order = torch.randperm(len(batches), generator=draw).tolist()
        return [batches[i] for i in order]
