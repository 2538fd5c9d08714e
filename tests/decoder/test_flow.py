"""The parts of the flow network: positions, masks, noise, solver."""

import math

import pytest
import torch

from moss_speech.decoder.flow.conformer import chunk_mask, relative_positions, to_keys
from moss_speech.decoder.flow.solver import fixed_noise
from tests.decoder.networks import N_CODES, flow_network


def test_noise_begins_with_the_published_numbers():
    wanted = torch.tensor([-1.1258, -1.1524, -0.2506, -0.4339])
    assert torch.allclose(fixed_noise(80, 15000)[0, 0, :4], wanted, atol=1e-4)


def test_scores_by_distance_land_on_the_key_at_that_distance():
    n = 5
    distances = torch.arange(n - 1, -n, -1.0)
    by_key = to_keys(distances.expand(1, 1, n, 2 * n - 1))[0, 0]
    wanted = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    assert torch.equal(by_key, wanted.float())


def test_positions_hold_sine_and_cosine_of_the_distance():
    table = relative_positions(4, 6)
    assert table.shape == (7, 6)
    assert torch.allclose(table[3], torch.tensor([0.0, 1.0] * 3))
    assert table[0, 0] == pytest.approx(math.sin(3), abs=1e-6)
    assert table[-1, 0] == pytest.approx(math.sin(-3), abs=1e-6)


def test_chunk_mask_shows_own_chunk_and_all_before():
    seen = chunk_mask(7, 3)
    assert seen is not None
    assert seen[0].tolist() == [True] * 3 + [False] * 4
    assert seen[3].tolist() == [True] * 6 + [False]
    assert chunk_mask(7, 0) is None


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
