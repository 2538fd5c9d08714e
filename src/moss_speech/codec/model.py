"""The codec as others use it: 16 kHz audio in, codes out, and what the codes spell.

Shapes: S samples · N codes · D width · K codebook entries ·
U character frames · A alphabet with the blank.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moss_speech.audio import Samples, read_blocks
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.features import log_mel, n_codes, pad_features, segments
from moss_speech.codec.quantizer import half_norms, nearest
from moss_speech.codec.readout import CtcReadout

Codes = NDArray[np.int64]
"""Codes of one piece of speech, 12.5 a second."""
_BATCH_CODES = 800
"""Codes encoded in one go, padding included: 64 s."""


@dataclass(frozen=True)
class Codec:
    """An encoder with its codebook, and the CTC read-out if it has one."""

    encoder: Encoder
    readout: CtcReadout | None
    digest: str
    """SHA-256 of the model.safetensors it came from."""

    @property
    def config(self) -> CodecConfig:
        """Shape of the encoder."""
        return self.encoder.config

    def within(self, window_frames: int | None) -> "Codec":
        """The same codec, its weights shared, that sees only the last so many encoder frames."""
        encoder = copy.copy(self.encoder)
        encoder.config = replace(self.config, window_frames=window_frames)
        return replace(self, encoder=encoder)

    @torch.inference_mode()
    def encode(self, audio: Sequence[Samples]) -> list[Codes]:
        """Codes of each piece of 16 kHz audio: ceil(samples / 1280) of them.

        Raises `ValueError` with the position of a piece that is empty or not finite.
        """
        codebook_KD = self.encoder.codebook.weight
        half_norm_K = half_norms(codebook_KD)
        return [
            nearest(x_ND, codebook_KD, half_norm_K).cpu().numpy() for x_ND in self.vectors(audio)
        ]

    @torch.inference_mode()
    def vectors(self, audio: Sequence[Samples]) -> list[Tensor]:
        """What is quantised [N, D] of each piece of 16 kHz audio; raises what `encode` raises."""
        pieces: list[Samples] = []
        borders = [0]
        for i, samples_S in enumerate(audio):
            try:
                pieces += segments(samples_S, self.config)
            except ValueError as error:
                raise ValueError(f"audio {i}: {error}") from error
            borders.append(len(pieces))
        found = self._vectors_of_segments(pieces)
        return [torch.cat(found[begin:end]) for begin, end in pairwise(borders)]

    def encode_file(self, path: Path) -> Codes:
        """Codes of an audio file of any length; a few segments are in memory at a time.

        Raises `ValueError` naming what is wrong with the file (`audio.read_audio`).
        """
        form = self.config.audio_format
        block_samples = _BATCH_CODES // self.config.segment_codes * self.config.segment_samples
        blocks = read_blocks(path, form.sample_rate_hz, block_samples)
        return np.concatenate([self.encode([block])[0] for block in blocks])

    def _vectors_of_segments(self, pieces: Sequence[Samples]) -> list[Tensor]:
        form, device = self.config.audio_format, self.encoder.codebook.weight.device
        found: dict[int, Tensor] = {}
        for batch in _batches([n_codes(piece.size, form) for piece in pieces]):
            mels = [log_mel(pieces[i], form) for i in batch]
            mel_BMF, codes_B = pad_features(mels, form.frames_per_code)
            x_BND = self.encoder(mel_BMF.to(device), codes_B.to(device))
            found |= {i: x_BND[k, : int(codes_B[k])].clone() for k, i in enumerate(batch)}
        return [found[i] for i in range(len(pieces))]

    @torch.inference_mode()
    def log_probs(self, codes_N: Codes) -> Tensor:
        """CTC log-probabilities [U, A] of characters; `ValueError` without a read-out."""
        if self.readout is None:
            raise ValueError("this codec has no CTC read-out")
        if codes_N.size == 0 or codes_N.min() < 0 or codes_N.max() >= self.config.n_codes:
            raise ValueError(f"codes must be 1 or more of 0..{self.config.n_codes - 1}")
        vectors_1ND = self.encoder.codebook(torch.from_numpy(codes_N))[None]
        return self.readout(vectors_1ND, torch.tensor([codes_N.size]))[0]  # type: ignore[no-any-return]

    def transcribe(self, codes_N: Codes) -> str:
        """What the best path of the read-out spells."""
        path = self.log_probs(codes_N).argmax(-1).tolist()
        assert self.readout is not None
        return self.readout.alphabet.decode(path)


def _batches(lengths: list[int]) -> list[list[int]]:
    """Indices by length in groups of at most `_BATCH_CODES` codes, padding included."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and (len(batches[-1]) + 1) * lengths[i] <= _BATCH_CODES:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
