"""How convolutions get their neighbours: a whole mel at once, or a stream of pieces.

A network is written once, over signals. In a whole run every convolution sees zeros beyond both
ends. In a stream it sees what it remembers of the past, and its output lies so far behind as it
looks ahead; nothing of what lies before a stream's beginning reaches it. Streams side by side
(slots) may be of different ages.
Shapes: S slots · C channels · N steps of a signal · K remembered steps.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[str, Tensor]
"""What running streams remember, by name; the first axis of every tensor is the slot."""
AGE = "frames"
"""Mel frames that each slot has seen, in its state."""


@dataclass(frozen=True)
class Signal:
    """One piece of a signal: its last step lies `delay` steps behind the newest mel frame."""

    values_SCN: Tensor
    rate: int = 1
    """Steps of a mel frame."""
    delay: int = 0

    def __add__(self, other: "Signal") -> "Signal":
        assert (self.rate, self.delay) == (other.rate, other.delay), "signals are not aligned"
        return replace(self, values_SCN=self.values_SCN + other.values_SCN)


class Run(ABC):
    """Gives the layers of a network their neighbours."""

    @abstractmethod
    def around(self, x: Signal, span: int, left: int, stride: int = 1, fill: float = 0.0) -> Signal:
        """Input of a layer whose step n sees `span` steps from n * stride - left on.

        The values hold the context, and a layer without padding leaves N / stride of them; rate
        and delay are those of the layer's output. `fill` stands where nothing is known.
        """

    @abstractmethod
    def cut(self, x: Signal, n_early: int, n_steps: int) -> Signal:
        """The `n_steps` that are settled of a spread signal which begins `n_early` too early."""

    @abstractmethod
    def lead(self, x: Signal) -> Signal:
        """The signal one step later, with one more before it: the reflected one in a whole run."""

    @abstractmethod
    def align(self, *signals: Signal) -> list[Signal]:
        """Delay all signals to the latest."""

    @abstractmethod
    def masked(self, x: Signal) -> Signal:
        """Zero before the beginning, where a whole run has its padding."""


class Whole(Run):
    """The whole mel at once, as the released code decodes; no delays."""

    def around(self, x: Signal, span: int, left: int, stride: int = 1, fill: float = 0.0) -> Signal:
        """Pad both sides."""
        right = max(0, span - stride - left)
        padded_SCN = F.pad(x.values_SCN, (left, right), value=fill)
        return Signal(padded_SCN, x.rate // stride)

    def cut(self, x: Signal, n_early: int, n_steps: int) -> Signal:
        """Leave out what is too early."""
        return replace(x, values_SCN=x.values_SCN[..., n_early : n_early + n_steps])

    def lead(self, x: Signal) -> Signal:
        """Reflect the second step."""
        return replace(x, values_SCN=F.pad(x.values_SCN, (1, 0), mode="reflect"))

    def align(self, *signals: Signal) -> list[Signal]:
        """Nothing is late."""
        return list(signals)

    def masked(self, x: Signal) -> Signal:
        """Nothing is early."""
        return x


class Stream(Run):
    """The next piece of running streams.

    Layers ask in the same order each time, so what each of them remembers needs no other name
    than its number.
    """

    def __init__(self, slots: int, n_frames: int, old: State | None, device: torch.device) -> None:
        self._slots, self._n_frames, self._old, self._device = slots, n_frames, old, device
        self.first: State = {}
        """What is remembered before the first frame, if there is no old state."""
        self.new: State = {}
        self.age_S = self.recall(AGE, dtype=torch.int64)
        self.new[AGE] = self.age_S + n_frames

    def recall(
        self, name: str, *shape: int, fill: float = 0.0, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """What was remembered under a name, [S, *shape]."""
        if self._old is not None:
            return self._old[name]
        kept = torch.full((self._slots, *shape), fill, dtype=dtype, device=self._device)
        self.first[name] = kept
        return kept

    def _number(self) -> str:
        return f"{len(self.new):03}"

    def _joined(self, x_SCN: Tensor, n_past: int, fill: float) -> Tensor:
        """The past and x; remembers the last `n_past` steps."""
        if not n_past:
            return x_SCN
        name = self._number()
        past_SCK = self.recall(name, x_SCN.shape[1], n_past, fill=fill)
        joined = torch.cat([past_SCK, x_SCN], -1)
        self.new[name] = joined[..., -n_past:]
        return joined

    def around(self, x: Signal, span: int, left: int, stride: int = 1, fill: float = 0.0) -> Signal:
        """Put the past before x, and wait for what lies ahead."""
        ahead = span - left + x.delay
        delay = -(-ahead // stride) - 1
        n_waiting = stride * (delay + 1) - ahead
        joined = self._joined(x.values_SCN, span - stride + n_waiting, fill)
        n_seen = joined.shape[-1] - n_waiting
        return Signal(joined[..., :n_seen], x.rate // stride, delay)

    def cut(self, x: Signal, n_early: int, n_steps: int) -> Signal:
        """What is too early now comes out as delay."""
        return replace(x, values_SCN=x.values_SCN[..., :n_steps], delay=x.delay + n_early)

    def lead(self, x: Signal) -> Signal:
        """One step more makes the delay one less."""
        return replace(x, delay=x.delay - 1)

    def align(self, *signals: Signal) -> list[Signal]:
        """Hold back what is ahead of the others."""
        latest = max(x.delay for x in signals)
        return [self._held(x, latest) for x in signals]

    def _held(self, x: Signal, delay: int) -> Signal:
        n_steps = x.values_SCN.shape[-1]
        joined = self._joined(x.values_SCN, delay - x.delay, 0.0)
        return replace(x, values_SCN=joined[..., :n_steps], delay=delay)

    def steps(self, x: Signal) -> Tensor:
        """Numbers [S, N] of the steps of x; below 0 before the beginning."""
        n_steps = torch.arange(x.values_SCN.shape[-1], device=self._device)
        return self.age_S[:, None] * x.rate - x.delay + n_steps

    def present(self, x: Signal) -> Tensor:
        """1 where x lies in the stream, 0 before its beginning: [S, 1, N]."""
        return (self.steps(x) >= 0).to(x.values_SCN.dtype)[:, None]

    def masked(self, x: Signal) -> Signal:
        """Zero before the beginning of each slot."""
        return replace(x, values_SCN=x.values_SCN * self.present(x))


def left_of(conv: nn.Conv1d, ahead: int | None) -> int:
    """Past steps that a convolution sees if it sees `ahead` future ones; None: as many."""
    n_others = (conv.kernel_size[0] - 1) * conv.dilation[0]
    return n_others // 2 if ahead is None else n_others - ahead


def convolve(conv: nn.Conv1d, x: Signal, run: Run, left: int, fill: float = 0.0) -> Signal:
    """A convolution whose first input lies `left` steps before its output's place."""
    (kernel,), (stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
    seen = run.around(x, (kernel - 1) * dilation + 1, left, stride, fill)
    made = F.conv1d(
        seen.values_SCN, conv.weight, conv.bias, stride, 0, dilation, groups=conv.groups
    )
    return run.masked(replace(seen, values_SCN=made))


def spread(up: nn.ConvTranspose1d, x: Signal, run: Run) -> Signal:
    """A transposed convolution; its padding is cut in a whole run and is delay in a stream."""
    (kernel,), (stride,), padding = up.kernel_size, up.stride, up.padding[0]
    assert isinstance(padding, int)
    n_past = -(-kernel // stride) - 1
    seen = run.around(x, n_past + 1, n_past)
    made = F.conv_transpose1d(seen.values_SCN, up.weight, up.bias, stride)
    settled = Signal(made[..., n_past * stride :], seen.rate * stride, seen.delay * stride)
    return run.masked(run.cut(settled, padding, x.values_SCN.shape[-1] * stride))
