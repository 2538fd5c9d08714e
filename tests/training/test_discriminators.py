"""Discriminators and the pitch that is heard: what they tell apart, what passes through them."""

import pytest
import torch
from pydantic import ValidationError

from moss_speech.audio import SPEAKING
from moss_speech.params.decoder import Adversarial
from moss_speech.training.discriminators import (
    Discriminators,
    feature_loss,
    fooling_loss,
    judging_loss,
)
from moss_speech.training.pitch import pitch_hz

VALUES = {
    "from_step": 0,
    "weight": 1.0,
    "feature_weight": 1.0,
    "lr_ratio": 1.0,
    "periods": [2, 5],
    "fft_sizes": [256],
    "channels": 4,
}


def discriminators() -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(Adversarial.model_validate(VALUES))


def tones(n: int, hz: float) -> torch.Tensor:
    time = torch.arange(4801) / 24000
    return 0.3 * torch.sin(2 * torch.pi * (hz * time + torch.rand(n, 1)))


def test_discriminators_learn_to_tell_tones_from_noise():
    parts = discriminators()
    optimizer = torch.optim.AdamW(parts.parameters(), lr=5e-3)
    for _ in range(60):
        loss = judging_loss(parts(tones(4, 300)), parts(torch.randn(4, 4801) * 0.2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        real, made = parts(tones(4, 310)), parts(torch.randn(4, 4801) * 0.2)
    assert judging_loss(real, made) < 0.5 < judging_loss(made, real)
    assert fooling_loss(real) < fooling_loss(made)


def test_teachers_pass_the_gradient_and_learn_nothing():
    parts, audio = discriminators(), tones(2, 200).requires_grad_()
    seen = parts.as_teachers(audio)
    (fooling_loss(seen) + feature_loss(parts(tones(2, 300)), seen)).backward()
    assert audio.grad is not None and audio.grad.abs().max() > 0
    plain = parts(audio)
    assert all(torch.equal(a, b) for m, n in zip(seen, plain, strict=True)
               for a, b in zip(m, n, strict=True))  # fmt: skip


def test_only_the_own_loss_reaches_the_discriminators():
    parts, audio = discriminators(), tones(2, 200).requires_grad_()
    fooling_loss(parts.as_teachers(audio)).backward()
    assert all(weight.grad is None for weight in parts.parameters())
    judging_loss(parts(tones(2, 300)), parts(audio.detach())).backward()
    assert all(weight.grad is not None for weight in parts.parameters())


def test_features_are_alike_only_for_the_same_sound():
    parts = discriminators()
    one = parts(tones(1, 200))
    assert feature_loss(one, one) == 0
    assert feature_loss(one, parts(tones(1, 400))) > 0


def test_no_discriminator_at_all_is_refused():
    with pytest.raises(ValidationError, match="must name a discriminator"):
        Adversarial.model_validate(VALUES | {"periods": [], "fft_sizes": []})


@pytest.mark.parametrize("hz", [65.0, 97.3, 150.0, 233.1, 310.0, 480.0])
@pytest.mark.parametrize("lowest_overtone", [1, 2])
def test_pitch_of_a_voice_is_heard_within_one_percent(hz, lowest_overtone):
    """Also without its fundamental, as in a telephone."""
    time = torch.arange(24000) / 24000
    waves = [torch.sin(2 * torch.pi * hz * k * time + k) / k for k in range(lowest_overtone, 9)]
    noisy = 0.2 * torch.stack(waves).sum(0) + 1e-3 * torch.randn(24000)
    heard = pitch_hz(noisy[None], SPEAKING)
    assert heard.shape == (1, 50)
    inside = heard[0, 2:-3]
    assert (inside / hz - 1).abs().max() < 0.01


def test_pitch_follows_a_glide_at_the_middle_of_each_frame():
    time = torch.arange(48000) / 24000
    audio = 0.3 * torch.sin(2 * torch.pi * (100 * time + 50 * time**2))
    heard = pitch_hz(audio[None], SPEAKING)[0, 3:-4]
    middles = (torch.arange(100)[3:-4] + 0.5) * 480 / 24000
    assert (heard / (100 + 100 * middles) - 1).abs().max() < 0.02


def test_noise_and_silence_have_no_pitch():
    noise = 0.2 * torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    assert (pitch_hz(noise, SPEAKING) > 0).float().mean() < 0.02
    assert not pitch_hz(torch.zeros(2, 9600), SPEAKING).any()
    assert torch.equal(pitch_hz(noise, SPEAKING)[0], pitch_hz(noise.repeat(2, 1), SPEAKING)[1])
