"""Streaming as published: every chunk recomputes the flow over voice and all codes so far.

Kept to compare with and to reproduce the released decoder (docs/reference/decoder-format.md);
`room.py` gives the same speech at constant cost a chunk.
Shapes: N codes · T frames · M mel bands · S samples.
"""

import numpy as np
import torch
from torch import Tensor

from moss_speech.audio import Samples
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.stream import VoicePrompt
from moss_speech.decoder.flow.view import View
from moss_speech.decoder.intake import Codes, Intake
from moss_speech.decoder.vocoder.hift import HiFT

CACHED_FRAMES = 8
"""Mel frames that the vocoder hears again, and whose speech is held back."""


class PublishedStream(Intake):
    """One reply spoken by the released protocol; `finish` sees everything both ways."""

    def __init__(self, flow: FlowNetwork, vocoder: HiFT, prompt: VoicePrompt, seed: int) -> None:
        flow.config.require_chunks()
        super().__init__(flow.config.n_codes)
        self._flow, self._vocoder, self._prompt = flow, vocoder, prompt
        self._noise = torch.Generator().manual_seed(seed)
        self._held = CACHED_FRAMES * flow.config.format.hop_samples
        self._fade_S = torch.from_numpy(np.hamming(2 * self._held))
        self._codes: list[int] = []
        self._n_spoken = 0
        self._mel_1MT: Tensor | None = None
        self._source_11S = torch.zeros(1, 1, 0, device=flow.device)
        self._speech_S: Tensor | None = None

    def push(self, codes: Codes) -> Samples:
        """Speech of all chunks whose codes and look-ahead are there."""
        self._codes += self.take(codes)
        pieces = [np.zeros(0, np.float32)]
        while len(self._codes) - self._n_spoken >= self._hop() + self._flow.config.lookahead_codes:
            pieces.append(self._speak(self._n_spoken + self._hop(), final=False))
        return np.concatenate(pieces)

    def finish(self) -> Samples:
        """The rest of the speech."""
        self.end()
        return self._speak(len(self._codes), final=True) if self._codes else np.zeros(0, np.float32)

    def _hop(self) -> int:
        """Codes of the next chunk; the first ends where a chunk counted from the voice ends."""
        chunk = self._flow.config.chunk_codes
        return chunk + (0 if self._n_spoken else -len(self._prompt.codes_N) % chunk)

    @torch.inference_mode()
    def _speak(self, end: int, final: bool) -> Samples:
        config, device = self._flow.config, self._flow.device
        codes_N = torch.tensor(self._codes[:end], device=device)
        future_L = torch.tensor(self._codes[end : end + config.lookahead_codes], device=device)
        mel_1TM = self._flow(
            torch.cat([self._prompt.codes_N, codes_N])[None],
            None if final else future_L[None],
            self._prompt.mel_TM[None],
            self._prompt.speaker_K[None],
            View(0) if final else View(config.chunk_codes),
        )
        begin = len(self._prompt.codes_N) + self._n_spoken
        self._n_spoken = end
        return self._vocode(mel_1TM[:, begin * config.format.frames_per_code :].mT, final)

    def _vocode(self, mel_1MT: Tensor, final: bool) -> Samples:
        held = self._held
        if self._mel_1MT is not None:
            mel_1MT = torch.cat([self._mel_1MT, mel_1MT], -1)
        audio_1S, source_11S = self._vocoder.published(mel_1MT, self._source_11S, self._noise)
        audio_S = audio_1S[0].cpu().double()
        if self._speech_S is not None:
            rising_S, falling_S = self._fade_S.chunk(2)
            audio_S[:held] = audio_S[:held] * rising_S + self._speech_S * falling_S
        self._mel_1MT, self._source_11S = mel_1MT[..., -CACHED_FRAMES:], source_11S[..., -held:]
        self._speech_S = audio_S[-held:].clone()
        said_S = audio_S if final else audio_S[:-held]
        return np.asarray(said_S.clamp(-1, 1).numpy(), np.float32)
