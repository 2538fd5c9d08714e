"""HiFT: its source, its limits, its config."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import vocoder_config
from moss_speech.decoder.load import load_vocoder, save_network
from moss_speech.decoder.vocoder.hift import AUDIO_LIMIT
from moss_speech.decoder.vocoder.signals import Signal, Stream
from moss_speech.decoder.vocoder.source import NOISE_S, noise_table
from moss_speech.params.decoder import VocoderShape
from moss_speech.storage import read_json, write_json
from moss_speech.training.pitch import pitch_hz
from tests.decoder.networks import hift, hift_shape, vocoder_shape


def source_of(hz: list[float]) -> torch.Tensor:
    """The source [N] of a stream, from its first sample on."""
    net = hift()
    net.m_source.l_linear.weight.data[:] = torch.tensor([[1.0] + [0.0] * 8])
    net.m_source.l_linear.bias.data.zero_()
    f0 = torch.tensor(hz)[None, None]
    with torch.no_grad():
        made = net.m_source.stream(Signal(f0), Stream(1, len(hz), None, f0.device))
    return made.values_SCN[0, 0, made.delay :]


def test_source_sounds_at_the_pitch_it_is_given():
    heard = pitch_hz(source_of([217.0] * 60)[None], SPEAKING)[0, 3:-4]
    assert (heard / 217 - 1).abs().max() < 0.01


def test_source_without_voice_is_the_table_of_noise():
    level = source_of([5.0] * 20)
    table = noise_table(NOISE_S * 24000, 9, level.device)[: len(level), 0] * 0.1 / 3
    assert torch.allclose(level, torch.tanh(table), atol=1e-6)


def test_phase_has_no_jump_where_the_pitch_jumps():
    made = source_of([100.0] * 10 + [300.0] * 10)
    slope = (made[1:] - made[:-1]).abs().max()
    assert slope < 0.1 * 2 * torch.pi * 300 / 24000 + 0.03  # a sine's slope and the noise


def test_noise_repeats_after_its_table():
    made = source_of([5.0] * (50 * NOISE_S * 2 + 10))
    period = NOISE_S * 24000
    assert torch.equal(made[:period], made[period : 2 * period])


def test_training_draws_its_noise_and_a_dry_step_draws_none():
    net, mel = hift(), torch.randn(1, 80, 20)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert net.train().latency_samples > 0
    assert net.training
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        assert not torch.equal(net(mel), net(mel))
        net.eval()
        assert torch.equal(net(mel), net(mel))


def test_audio_never_passes_the_limit():
    net = hift()
    net.conv_post.bias.data.fill_(9)
    with torch.no_grad():
        audio = net(torch.randn(1, 80, 20))
    assert audio.abs().max() == pytest.approx(AUDIO_LIMIT)


def test_pitch_reaches_the_sound():
    """The network shapes its source: another pitch, another audio from the same mel."""
    net, mel = hift(), torch.randn(1, 80, 20)
    with torch.no_grad():
        before = net(mel)
        net.f0_predictor.classifier.bias.add_(60)
        assert (net(mel) - before).abs().max() > 1e-3


def test_a_saved_vocoder_comes_back_with_its_kind(tmp_path):
    net, mel = hift(lookahead_frames=2), torch.randn(1, 80, 9)
    save_network(net, tmp_path)
    back = load_vocoder(tmp_path)
    assert type(back) is type(net) and back.config == net.config
    with torch.no_grad():
        assert torch.equal(back(mel), net(mel))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"upsample_kernels": [16, 11]}, "one entry for each"),
        ({"upsample_kernels": [16, 10, 7]}, "upsample kernel 10, must be 5, 7, ..."),
        ({"upsample_rates": [8, 5, 2], "upsample_kernels": [8, 5, 2]}, "must be the hop of 480"),
        ({"channels": 20}, "channels is 20, must be halved 3 times"),
        ({"resblock_kernels": [4]}, "must be odd"),
        ({"lookahead_frames": 7}, "less than or equal to 6"),
        ({"n_fft": 32}, "must be the hop of 480"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_the_limit(changes, reason):
    with pytest.raises(ValidationError, match=reason):
        vocoder_config(hift_shape(**changes), SPEAKING)


def test_kinds_do_not_mix():
    read = TypeAdapter(VocoderShape).validate_python
    assert read(vocoder_shape().model_dump()) == vocoder_shape()
    with pytest.raises(ValidationError, match="kind"):
        read(vocoder_shape().model_dump() | {"kind": "wavenet"})
    with pytest.raises(ValidationError, match="n_harmonics"):
        read(vocoder_shape().model_dump() | {"n_harmonics": 8})


def test_a_folder_without_a_kind_is_refused(tmp_path):
    save_network(hift(), tmp_path)
    config = read_json(tmp_path / "config.json")
    del config["kind"]
    write_json(tmp_path / "config.json", config)
    with pytest.raises(ValueError, match="kind"):
        load_vocoder(tmp_path)
