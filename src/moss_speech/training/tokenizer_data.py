"""What the tokenizer hears while it trains: features and spellings in batches of like length.

Shapes: B batch · M mel bands · F mel frames · N codes · D width · L characters, longest item.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from moss_speech.audio import AudioFormat
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.features import log_mel, pad_features
from moss_speech.codec.readout import FRAMES_PER_CODE, Alphabet
from moss_speech.corpus.items import Utterance
from moss_speech.records import report_progress
from moss_speech.storage import write_bytes

_REPORT_EVERY = 500
_REPORT_BATCHES = 20
_LENGTH_JITTER = 0.1


@dataclass(frozen=True)
class Spoken:
    """One utterance ready for training."""

    mel_MF: Tensor
    """Half precision, to fit a whole corpus into memory."""
    n_codes: int
    characters: list[int]


@dataclass(frozen=True)
class SpokenBatch:
    """Padded features with their spellings, and the vectors that an encoder should come near."""

    mel_BMF: Tensor
    codes_B: Tensor
    characters_BL: Tensor
    n_characters_B: Tensor
    target_BND: Tensor

    @property
    def inside(self) -> Tensor:
        """True where an item has a code [B, N]."""
        place_N = torch.arange(self.target_BND.shape[1], device=self.codes_B.device)
        return place_N < self.codes_B[:, None]

    def to(self, device: torch.device, non_blocking: bool = False) -> "SpokenBatch":
        """The batch on a device; the trainer calls it."""
        return SpokenBatch(*(v.to(device, non_blocking=non_blocking) for v in vars(self).values()))


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
        mel_MF = log_mel(utterance.read(form.sample_rate_hz), form)
        n_codes = mel_MF.shape[-1] // form.frames_per_code
        spoken.append(Spoken(mel_MF.half(), n_codes, alphabet.encode(utterance.text)))
        if done % _REPORT_EVERY == 0 or done == len(chosen):
            report_progress(done, len(chosen), "features")
    return spoken


@torch.inference_mode()
def hear(
    teacher: Encoder, items: Sequence[Spoken], batch_codes: int, kept: Path, device: str
) -> list[Tensor]:
    """Vectors [N, D] of each item by an encoder, in half precision; kept in a file for resuming."""
    if not kept.is_file():
        teacher = teacher.to(device)
        form = teacher.config.audio_format
        heard: dict[str, Tensor] = {}
        plan = by_length([item.n_codes for item in items], batch_codes)
        for done, batch in enumerate(plan, 1):
            mels = [items[i].mel_MF.float() for i in batch]
            mel_BMF, codes_B = pad_features(mels, form.frames_per_code)
            with torch.autocast(device, torch.bfloat16):
                x_BND = teacher(mel_BMF.to(device), codes_B.to(device)).half().cpu()
            heard |= {str(i): x_BND[k, : int(codes_B[k])].clone() for k, i in enumerate(batch)}
            if done % _REPORT_BATCHES == 0 or done == len(plan):
                report_progress(len(heard), len(items), "utterances heard")
        write_bytes(kept, save(heard))
    vectors = load_file(kept)
    return [vectors[str(i)] for i in range(len(items))]


def by_length(lengths: Sequence[float], most: float) -> list[list[int]]:
    """Indices in order of length, in groups whose padded sum is at most `most`."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and (len(groups[-1]) + 1) * lengths[i] <= most:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


class LengthBatches:
    """Batches of about `batch_codes` codes as a pure function of the step.

    Every epoch has its own order; items of a batch are of like, not equal, length.
    """

    def __init__(
        self, items: list[Spoken], targets: list[Tensor], batch_codes: int, seed: int
    ) -> None:
        if not items:
            raise ValueError("there are 0 utterances to train on, must be at least 1")
        self._items, self._targets = items, targets
        self._batch_codes, self._seed = batch_codes, seed
        self._epochs = [self._plan(0)]

    def __call__(self, step: int) -> SpokenBatch:
        """The batch of a step."""
        epoch = 0
        while step >= len(self._epochs[epoch]):
            step -= len(self._epochs[epoch])
            epoch += 1
            if epoch == len(self._epochs):
                self._epochs.append(self._plan(epoch))
        return self._collate(self._epochs[epoch][step])

    def _plan(self, epoch: int) -> list[list[int]]:
        draw = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        jitter = 1 + _LENGTH_JITTER * torch.rand(len(self._items), generator=draw)
        codes = torch.tensor([item.n_codes for item in self._items])
        batches = by_length((codes * jitter).tolist(), self._batch_codes)
        order = torch.randperm(len(batches), generator=draw).tolist()
        return [batches[i] for i in order]

    def _collate(self, indices: list[int]) -> SpokenBatch:
        items = [self._items[i] for i in indices]
        per_code = items[0].mel_MF.shape[-1] // items[0].n_codes
        mel_BMF, codes_B = pad_features([item.mel_MF.float() for item in items], per_code)
        spellings = [torch.tensor(item.characters) for item in items]
        targets = [self._targets[i].float() for i in indices]
        return SpokenBatch(
            mel_BMF=mel_BMF,
            codes_B=codes_B,
            characters_BL=pad_sequence(spellings, batch_first=True),
            n_characters_B=torch.tensor([len(item.characters) for item in items]),
            target_BND=pad_sequence(targets, batch_first=True),
        )
