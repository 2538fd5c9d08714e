"""The pitch of each mel frame, in Hz; near 0 where the voice does not sound.

Shapes: S slots · M mel bands · C channels · T frames.
"""

from dataclasses import replace
from itertools import pairwise

from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from moss_speech.decoder.config import HiftConfig
from moss_speech.decoder.vocoder.signals import Run, Signal, convolve, left_of

KERNEL = 3
N_CONVOLUTIONS = 5


class F0Predictor(nn.Module):
    """Five convolutions with ELU and one linear layer."""

    def __init__(self, config: HiftConfig) -> None:
        super().__init__()
        self._lookahead = config.lookahead_frames
        widths = [config.format.n_mels, *[config.f0_channels] * N_CONVOLUTIONS]
        layers: list[nn.Module] = []
        for n_inputs, n_outputs in pairwise(widths):
            layers += [weight_norm(nn.Conv1d(n_inputs, n_outputs, KERNEL)), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(config.f0_channels, 1)

    def forward(self, mel: Signal, run: Run) -> Signal:
        """Mel [S, M, T] to Hz [S, 1, T]."""
        x = mel
        for i, conv in enumerate(self.condnet[::2]):
            assert isinstance(conv, nn.Conv1d)
            x = convolve(conv, x, run, left_of(conv, self._ahead(i)))
            x = replace(x, values_SCN=F.elu(x.values_SCN))
        hz_ST1 = self.classifier(x.values_SCN.mT).abs().float()
        return run.masked(replace(x, values_SCN=hz_ST1.mT))

    def _ahead(self, index: int) -> int | None:
        """Future steps that a convolution sees; None for as many as past ones."""
        if self._lookahead is None:
            return None
        return min(self._lookahead, KERNEL - 1) if index == 0 else 0
