"""What every vocoder can do: mel in pieces of any length, audio a fixed delay behind.

Shapes: S slots (streams side by side) · M mel bands · T frames · N samples.
"""

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.audio import AudioFormat
from moss_speech.decoder.config import VocoderConfig
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.vocoder.signals import Signal, State, Stream

__all__ = ["State", "Vocoder", "keep"]


class Vocoder(nn.Module, ABC):
    """Mel [S, M, T] to audio [S, T * hop], whole or as a stream."""

    config: VocoderConfig

    @abstractmethod
    def synthesise(self, mel: Signal, run: Stream) -> Signal:
        """Audio [S, 1, T * hop] of a piece of mel [S, M, T]."""

    @property
    def format(self) -> AudioFormat:
        """Rates of mel and audio."""
        return self.config.format

    @property
    def latency_samples(self) -> int:
        """How far the audio of `step` lies behind its mel: what the network sees of the future."""
        return self._beginning[1]

    @cached_property
    def _beginning(self) -> tuple[State, int]:
        """What one slot remembers before its first frame, and the delay, found by a dry step."""
        training, device = self.training, next(self.parameters()).device
        self.eval()  # draws no random numbers
        with torch.no_grad():
            run = Stream(1, 1, None, device)
            mel_1M1 = torch.zeros(1, self.format.n_mels, 1, device=device)
            audio = self.synthesise(Signal(mel_1M1), run)
        self.train(training)
        return run.first, audio.delay

    def start(self, slots: int) -> State:
        """The state before the first frame of each stream."""
        device = next(self.parameters()).device
        return {
            name: value.to(device).repeat(slots, *[1] * (value.ndim - 1))
            for name, value in self._beginning[0].items()
        }

    def step(self, mel_SMT: Tensor, state: State) -> tuple[Tensor, State]:
        """Audio [S, T * hop] of one more piece, and the state after it; `state` stays as it was.

        The first `latency_samples` of a stream lie before its beginning and mean nothing.
        """
        run = Stream(len(mel_SMT), mel_SMT.shape[-1], state, mel_SMT.device)
        audio = self.synthesise(Signal(mel_SMT), run)
        return audio.values_SCN[:, 0], run.new

    def flush_frames(self) -> int:
        """Frames of silence after the last one that bring out the rest of the audio."""
        return -(-self.latency_samples // self.format.hop_samples)

    def forward(self, mel_SMT: Tensor) -> Tensor:
        """Audio [S, T * hop] of a whole mel; silence follows it."""
        n_samples = mel_SMT.shape[-1] * self.format.hop_samples
        padded_SMT = F.pad(mel_SMT, (0, self.flush_frames()), value=LOG_FLOOR)
        audio_SN, _ = self.step(padded_SMT, self.start(len(mel_SMT)))
        return audio_SN[:, self.latency_samples :][:, :n_samples]


def keep(active_S: Tensor, new: State, old: State) -> State:
    """The new state of the active slots, the old one of the others."""
    return {
        name: torch.where(active_S.view(-1, *[1] * (value.ndim - 1)), value, old[name])
        for name, value in new.items()
    }
