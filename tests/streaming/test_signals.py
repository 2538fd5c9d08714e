"""Layers in streams against the same layers over the whole, from the very first step on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moss_speech.decoder.vocoder.residual import ResBlock
from moss_speech.decoder.vocoder.signals import Run, Signal, Stream, Whole, convolve, spread
from tests.decoder.networks import hift_shape, vocoder

N_FRAMES = 40
TOLERANCE = 2e-6


def streamed(layers, signal: Signal, sizes: list[int]) -> Signal:
    """What the layers make of a signal that comes in pieces of so many frames."""
    state, pieces, start = None, [], 0
    for size in [*sizes, N_FRAMES - sum(sizes)]:
        run = Stream(len(signal.values_SCN), size, state, torch.device("cpu"))
        piece = signal.values_SCN[..., start * signal.rate : (start + size) * signal.rate]
        made = layers(Signal(piece, signal.rate), run)
        state, start = run.new, start + size
        pieces.append(made.values_SCN)
    return Signal(torch.cat(pieces, -1), made.rate, made.delay)


def compare(layers, signal: Signal, sizes: list[int]) -> None:
    """All that is settled equals the whole; before the beginning there is nothing."""
    with torch.no_grad():
        whole, made = layers(signal, Whole()), streamed(layers, signal, sizes)
    n_steps = made.values_SCN.shape[-1]
    assert (whole.rate, whole.values_SCN.shape[-1]) == (made.rate, n_steps)
    early, settled = made.values_SCN[..., : made.delay], made.values_SCN[..., made.delay :]
    assert not early.any()
    assert settled.shape[-1] > n_steps // 4
    wanted = whole.values_SCN[..., : n_steps - made.delay]
    assert (settled - wanted).abs().max() < TOLERANCE


def noise(channels: int, rate: int = 1) -> Signal:
    generator = torch.Generator().manual_seed(channels)
    return Signal(torch.randn(2, channels, N_FRAMES * rate, generator=generator), rate)


SIZES = st.lists(st.integers(1, 8), max_size=4)


@settings(max_examples=30)
@given(data=st.data(), sizes=SIZES)
def test_convolutions_of_any_size_equal_the_whole(data, sizes):
    stride = data.draw(st.sampled_from([1, 2, 3]))
    kernel, dilation = data.draw(st.integers(stride, 7)), data.draw(st.integers(1, 3))
    span = (kernel - 1) * dilation + 1
    left = data.draw(st.integers(max(0, span - stride - 8), span - 1))
    conv = nn.Conv1d(3, 4, kernel, stride, dilation=dilation)
    after = nn.Conv1d(4, 2, 3)

    def layers(x: Signal, run: Run) -> Signal:
        return convolve(after, convolve(conv, x, run, left), run, 1)

    compare(layers, noise(3, rate=6), sizes)


@settings(max_examples=30)
@given(data=st.data(), sizes=SIZES)
def test_transposed_convolutions_equal_the_whole(data, sizes):
    rate, wider = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 4))
    up = nn.ConvTranspose1d(3, 4, rate + 2 * wider, rate, wider)
    after = nn.Conv1d(4, 2, 3)
    reference = up(noise(3).values_SCN)
    assert torch.allclose(spread(up, noise(3), Whole()).values_SCN, reference, atol=1e-6)
    compare(
        lambda x, run: convolve(after, spread(up, x, run), run, 1),
        noise(3),
        sizes,
    )


@pytest.mark.parametrize("lookahead", [None, 2])
@settings(max_examples=10)
@given(sizes=SIZES)
def test_residual_blocks_side_by_side_equal_the_whole(lookahead, sizes):
    shape = hift_shape(lookahead_frames=lookahead, dilations=[1, 2])
    blocks = [ResBlock(shape, 4, kernel) for kernel in (3, 5)]

    def layers(x: Signal, run: Run) -> Signal:
        first, second = run.align(*(block(x, run) for block in blocks))
        return first + second

    compare(layers, noise(4, rate=3), sizes)


@settings(max_examples=10)
@given(sizes=SIZES)
def test_frames_before_the_beginning_do_not_leak_into_vocos(sizes):
    net = vocoder(lookahead_frames=2)
    mel = noise(80)
    with torch.no_grad():
        whole, made = net.backbone(mel, Whole()), streamed(net.backbone, mel, sizes)
    assert made.delay == 2
    settled, wanted = made.values_SCN[..., 2:], whole.values_SCN[..., :-2]
    assert (settled - wanted).abs().max() < 1e-5


def test_signals_that_are_not_aligned_are_not_added():
    with pytest.raises(AssertionError, match="not aligned"):
        _ = noise(2) + Signal(noise(2).values_SCN, 1, delay=1)
