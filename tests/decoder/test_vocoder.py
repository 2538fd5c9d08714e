"""The vocoder: sample counts, pieces against the whole, the inverse transform."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.decoder.vocoder.vocos import overlap_add
from tests.decoder.networks import vocoder

N_FRAMES = 31


@pytest.mark.parametrize("n_fft", [960, 1280, 1920])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 17])
def test_every_mel_frame_gives_one_hop_of_samples(n_fft, n_frames):
    assert vocoder(n_fft=n_fft)(torch.randn(2, 80, n_frames)).shape == (2, 480 * n_frames)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, N_FRAMES - 1), max_size=10), lookahead=st.integers(0, 6))
def test_pieces_equal_the_whole_for_any_chunking(cuts, lookahead):
    net = vocoder(lookahead_frames=lookahead)
    mel = torch.randn(1, 80, N_FRAMES, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        state = net.init_state(1, mel.device)
        pieces = [net.push(p, state) for p in torch.tensor_split(mel, sorted(cuts), -1)]
        made = torch.cat([*pieces, net.finish(state)], -1)
        whole = net(mel)
    assert made.shape == whole.shape
    assert torch.allclose(made, whole, rtol=0, atol=1e-5)


def test_window_is_undone_for_a_steady_sound():
    net = vocoder()
    time = torch.arange(1920 + 9 * 480)
    sine = torch.sin(2 * torch.pi * 300 / 24000 * time)
    frames = sine.unfold(0, 1920, 480)[None] * net.window_W.square()
    weight = overlap_add(net.window_W.square().expand(1, 10, -1), 480)
    assert torch.allclose(
        (overlap_add(frames, 480) / weight)[0, 720:-720], sine[720:-720], atol=1e-5
    )


def test_future_beyond_the_declared_lookahead_is_not_used():
    net = vocoder(lookahead_frames=2)
    mel = torch.randn(1, 80, 20)
    changed = mel.clone()
    changed[..., 12:] += 1
    n_settled = (12 - 2) * 480 - 720
    with torch.no_grad():
        before, after = net(mel), net(changed)
    assert torch.equal(before[:, :n_settled], after[:, :n_settled])
    assert not torch.equal(before[:, n_settled:], after[:, n_settled:])
