"""The parts of the flow network: positions, views, noise, solver."""

import math

import pytest
import torch

from moss_speech.decoder.flow.past import Whole, relative_positions
from moss_speech.decoder.flow.solver import noise
from moss_speech.decoder.flow.view import View
from tests.decoder.networks import N_CODES, flow_network

CPU = torch.device("cpu")


def test_noise_begins_with_the_published_numbers():
    wanted = torch.tensor([-1.1258, -1.1524, -0.2506, -0.4339])
    assert torch.allclose(noise(80, 15000, 0, 4)[0], wanted, atol=1e-4)


@pytest.mark.parametrize(("start", "n"), [(0, 7), (95, 10), (99, 1), (100, 5), (250, 200)])
def test_noise_is_the_same_however_it_is_cut_and_goes_on_past_its_block(start, n):
    one_by_one = torch.cat([noise(3, 100, start + i, 1) for i in range(n)], -1)
    assert torch.equal(noise(3, 100, start, n), one_by_one)
    assert not torch.equal(noise(3, 100, 0, 5), noise(3, 100, 100, 5))


def test_scores_by_distance_land_on_the_key_at_that_distance():
    n = 5
    past = Whole(View(0), n, CPU)
    by_distance = torch.zeros(1, 1, n, 2 * n - 1)
    by_distance[..., n - 1 - 2] = 100.0  # two steps back
    query = torch.zeros(1, 1, n, 4)
    values = torch.arange(n, dtype=torch.float32)[None, None, :, None].expand(-1, -1, -1, 4)
    mixed = past.attend(query, query, values, by_distance)[0, 0, :, 0]
    assert torch.allclose(mixed[2:], torch.arange(n - 2.0), atol=1e-5)


def test_positions_hold_sine_and_cosine_of_the_distance():
    table = relative_positions(3, -3, 6)
    assert table.shape == (7, 6)
    assert torch.allclose(table[3], torch.tensor([0.0, 1.0] * 3))
    assert table[0, 0] == pytest.approx(math.sin(3), abs=1e-6)
    assert table[-1, 0] == pytest.approx(math.sin(-3), abs=1e-6)


def test_view_shows_own_chunk_and_all_before():
    seen = View(3).seen(7)
    assert seen is not None
    assert seen[0].tolist() == [True] * 3 + [False] * 4
    assert seen[3].tolist() == [True] * 6 + [False]
    assert View(0).seen(7) is None


def test_bounded_view_shows_voice_context_and_own_chunk_as_if_nothing_lay_between():
    view = View(2, context=2, pinned=2)
    seen, distance = view.seen(8), view.distance(8)
    assert seen is not None
    assert seen[6].tolist() == [True, True, False, False, True, True, True, True]
    assert distance[6].tolist() == [4, 3, 4, 3, 2, 1, 0, -1]
    assert distance[3].tolist()[:4] == [3, 2, 1, 0]


def test_view_at_the_rate_of_frames_is_the_same_in_frames():
    assert View(5, 25, 10).at_rate(4) == View(20, 100, 40)
    assert View(5).at_rate(4) == View(20)


@pytest.mark.parametrize("steps", [0, 2])
def test_mel_of_a_chunk_depends_on_nothing_after_its_lookahead(steps):
    flow = flow_network(steps=steps)
    codes = torch.randint(N_CODES, (1, 20))
    changed = codes.clone()
    changed[0, 13:] = (changed[0, 13:] + 1) % N_CODES
    prompt, speaker = torch.zeros(1, 0, 80), torch.ones(1, 160)
    before, after = (flow(c, None, prompt, speaker)[0] for c in (codes, changed))
    assert torch.allclose(before[:40], after[:40], atol=1e-5)
    assert not torch.allclose(before[40:60], after[40:60], atol=1e-3)


def test_voice_prompt_and_speaker_change_the_mel_of_the_flow():
    flow = flow_network(steps=2)
    codes = torch.randint(N_CODES, (1, 10))
    silent, loud = torch.full((1, 20, 80), -11.0), torch.zeros(1, 20, 80)
    one, other = torch.randn(1, 160), torch.randn(1, 160)
    base = flow(codes, None, silent, one)
    assert not torch.allclose(base, flow(codes, None, loud, one), atol=1e-4)
    assert not torch.allclose(base, flow(codes, None, silent, other), atol=1e-4)


def test_without_guidance_the_unconditional_half_has_no_say():
    torch.manual_seed(0)
    plain, guided = flow_network(guidance=0.0), flow_network(guidance=2.0)
    codes, prompt = torch.randint(N_CODES, (1, 10)), torch.zeros(1, 8, 80)
    speaker = torch.ones(1, 160)
    assert not torch.allclose(
        plain(codes, None, prompt, speaker), guided(codes, None, prompt, speaker), atol=1e-4
    )
