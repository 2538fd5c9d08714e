"""What every vocoder can do: mel in pieces of any length, audio a fixed delay behind.

Shapes: S slots (streams side by side) · M mel bands · T frames · N samples.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.audio import AudioFormat
from moss_speech.decoder.mel import LOG_FLOOR

State = dict[str, Tensor]
"""What running streams remember, by name; the first axis of every tensor is the slot."""


class Vocoder(nn.Module, ABC):
    """Mel [S, M, T] to audio [S, T * hop], whole or as a stream."""

    format: AudioFormat
    latency_samples: int
    """How far the audio of `step` lies behind its mel: what the network sees of the future."""

    @abstractmethod
    def start(self, slots: int) -> State:
        """The state before the first frame of each stream."""

    @abstractmethod
    def step(self, mel_SMT: Tensor, state: State) -> tuple[Tensor, State]:
        """Audio [S, T * hop] of one more piece, and the state after it; `state` stays as it was.

        The first `latency_samples` of a stream lie before its beginning and mean nothing.
        """

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
