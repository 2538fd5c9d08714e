"""Streams of both vocoders: any chunking equals the whole; slots of any age side by side."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import vocoder_config
from moss_speech.decoder.convert import PUBLISHED_SHAPES
from moss_speech.decoder.load import new_vocoder
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.vocoder.base import Vocoder, keep
from tests.decoder.networks import hift, vocoder

N_FRAMES = 31
TOLERANCE = 1e-5
"""Of samples in -1..1; measured below 2e-6."""
NETWORKS = {
    "vocos": vocoder(),
    "vocos that sees nothing ahead": vocoder(lookahead_frames=0),
    "vocos of uneven windows": vocoder(lookahead_frames=6, n_fft=1280),
    "centred hift": hift(),
    "causal hift": hift(lookahead_frames=2),
    "hift of two stages": hift(
        lookahead_frames=0,
        upsample_rates=[8, 6],
        upsample_kernels=[8, 10],
        source_kernels=[3, 7],
        n_fft=40,
    ),
}
MEL = torch.randn(3, 80, N_FRAMES, generator=torch.Generator().manual_seed(2)) - 2


@pytest.fixture(params=NETWORKS, scope="module")
def net(request) -> Vocoder:
    return NETWORKS[request.param]


def flushed(net: Vocoder, mel: torch.Tensor) -> torch.Tensor:
    return F.pad(mel, (0, net.flush_frames()), value=LOG_FLOOR)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, N_FRAMES - 1), max_size=10, unique=True))
@torch.no_grad()
def test_any_chunking_equals_the_whole(net, cuts):
    state, pieces, mel = net.start(3), [], flushed(net, MEL)
    for piece in torch.tensor_split(mel, sorted(cuts), -1):
        made, state = net.step(piece, state)
        assert made.shape == (3, piece.shape[-1] * 480)
        pieces.append(made)
    streamed = torch.cat(pieces, -1)[:, net.latency_samples :][:, : N_FRAMES * 480]
    whole = net(MEL)
    assert streamed.shape == whole.shape
    assert (streamed - whole).abs().max() < TOLERANCE
    assert whole.abs().max() > 1e-3


@settings(max_examples=4)
@given(ages=st.lists(st.integers(0, 9), min_size=3, max_size=3))
@torch.no_grad()
def test_slots_of_any_age_each_speak_as_if_alone(net, ages):
    """Slot i waits `ages[i]` steps, in which its state is kept; others speak meanwhile."""
    state, mel = net.start(3), flushed(net, MEL)
    heard: list[list[torch.Tensor]] = [[], [], []]
    n_steps = max(ages) + mel.shape[-1]
    for number in range(n_steps):
        at = [number - age for age in ages]
        active = torch.tensor([0 <= n < mel.shape[-1] for n in at])
        frames = torch.stack(
            [mel[i, :, n] if active[i] else torch.zeros(80) for i, n in enumerate(at)]
        )
        made, new = net.step(frames[..., None], state)
        state = keep(active, new, state)
        for slot in active.nonzero()[:, 0].tolist():
            heard[slot].append(made[slot])
    whole = net(MEL)
    for slot, pieces in enumerate(heard):
        one = torch.cat(pieces)[net.latency_samples :][: N_FRAMES * 480]
        assert (one - whole[slot]).abs().max() < TOLERANCE


@torch.no_grad()
def test_a_session_that_joins_gets_a_fresh_slot(net):
    state = net.step(MEL[:, :, :7], net.start(3))[1]
    fresh = net.start(1)
    for name, value in state.items():
        value[1] = fresh[name][0]
    made = net.step(flushed(net, MEL), state)[0]
    joined = made[1, net.latency_samples :][: N_FRAMES * 480]
    assert (joined - net(MEL)[1]).abs().max() < TOLERANCE


@torch.no_grad()
def test_a_step_leaves_the_old_state_valid(net):
    state = net.step(MEL[:, :, :5], net.start(3))[1]
    before = {name: value.clone() for name, value in state.items()}
    first, _ = net.step(MEL[:, :, 5:9], state)
    again, _ = net.step(MEL[:, :, 5:9], state)
    assert torch.equal(first, again)
    assert all(torch.equal(value, before[name]) for name, value in state.items())


@torch.no_grad()
def test_what_streams_remember_never_grows(net):
    state = net.start(3)
    shapes = {name: (value.shape, value.dtype) for name, value in state.items()}
    for n in (1, 9, 2):
        state = net.step(MEL[:, :, :n], state)[1]
        assert {name: (value.shape, value.dtype) for name, value in state.items()} == shapes
        assert all(value.untyped_storage().nbytes() < 2_000_000 for value in state.values())


@torch.no_grad()
def test_an_hour_old_stream_still_sounds_the_same():
    """The place in the noise and the phase are whole numbers and double precision."""
    net = NETWORKS["causal hift"]
    period = 4 * 50
    state = net.step(MEL[:1, :, :7], net.start(1))[1]
    old = {**state, "frames": state["frames"] + 900 * period}
    young, aged = (net.step(MEL[:1, :, 7:], s)[0] for s in (state, old))
    assert torch.equal(young, aged)


@pytest.mark.slow
@torch.no_grad()
def test_published_size_streams_as_the_whole():
    net = new_vocoder(vocoder_config(PUBLISHED_SHAPES.hift, SPEAKING)).eval()
    state, pieces = net.start(2), []
    for piece in flushed(net, MEL[:2]).split([4, 1, 7, 20, 19], -1):
        made, state = net.step(piece, state)
        pieces.append(made)
    streamed = torch.cat(pieces, -1)[:, net.latency_samples :][:, : N_FRAMES * 480]
    assert (streamed - net(MEL[:2])).abs().max() < TOLERANCE
