"""Training of the vocoder: crops, losses, discriminators, resuming."""

import os
import signal
import subprocess
import sys

import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import vocoder_config
from moss_speech.decoder.load import load_vocoder, new_vocoder, save_network
from moss_speech.decoder.mel import log_mel
from moss_speech.params.decoder import Adversarial, TrainVocoder
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit
from moss_speech.training.vocoder import VocoderBatches, spectral_loss, train_vocoder
from tests.decoder.networks import hift_shape, vocoder_shape
from tests.training.speech_clips import clips, fit_params
from tests.workspace import ROOT


def section(**changes):
    values = {
        "threads": 1,
        "start": None,
        "keep": False,
        "model": vocoder_shape(),
        "fit": fit_params(steps=30, checkpoint_steps=100, average_decay=0.0),
        "batch": 3,
        "crop_frames": 16,
        "other_voices_share": 0.25,
        "mel_weight": 1.0,
        "fft_sizes": [512, 1024],
        "f0_weight": 1.0,
        "adversarial": None,
    }
    return TrainVocoder(**values | changes)


def test_mel_of_a_crop_is_that_of_its_audio(tmp_path):
    batch = VocoderBatches(clips(tmp_path), section(), 1)(0)
    assert batch.audio_BS.shape == (3, 16 * 480)
    mel = log_mel(batch.audio_BS, SPEAKING)
    inside = slice(2, -2)  # at the ends the crop lacks its neighbours
    assert torch.allclose(mel[..., inside], batch.mel_BMT[..., inside], atol=1e-3)


def test_a_clip_shorter_than_the_crop_is_filled_with_silence(tmp_path):
    batch = VocoderBatches(clips(tmp_path), section(crop_frames=200), 1)(0)
    assert batch.audio_BS.shape == (3, 200 * 480)
    assert batch.mel_BMT.shape == (3, 80, 200)
    assert (batch.audio_BS[:, -480:] == 0).all()


def test_equal_steps_give_equal_crops(tmp_path):
    corpus = clips(tmp_path)
    first, again = (VocoderBatches(corpus, section(), 1)(5) for _ in range(2))
    assert torch.equal(first.audio_BS, again.audio_BS)
    assert not torch.equal(first.audio_BS, VocoderBatches(corpus, section(), 1)(6).audio_BS)


def test_spectral_loss_is_zero_only_for_the_same_spectrum():
    audio = torch.randn(2, 4800) * 0.1
    assert spectral_loss(audio, audio, 512) == 0
    assert spectral_loss(audio * 0.5, audio, 512) > 0.5
    assert torch.isfinite(spectral_loss(torch.zeros_like(audio), audio, 512))


class Curves(SilentTracker):
    """Keeps what a run logs, by step."""

    def __init__(self):
        self.points: dict[int, dict[str, float]] = {}

    def metrics(self, values, step=0):
        self.points[step] = {name.removeprefix("train/"): v for name, v in values.items()}


def trained(folder, run, p, tracker=None):
    """A vocoder trained on the tones of `folder`."""
    torch.manual_seed(0)
    net = new_vocoder(vocoder_config(p.model, SPEAKING))
    train_vocoder(net, clips(folder), p, Fit(p.fit, 1, run, tracker or Curves()))
    return net


def test_spectral_loss_falls_on_a_corpus_of_tones(tmp_path):
    curves = Curves()
    trained(tmp_path, tmp_path / "run", section(), curves)
    assert curves.points[30]["spectral"] < 0.9 * curves.points[5]["spectral"]
    assert curves.points[30].keys() == {"mel_l1", "spectral"}


def test_hift_learns_the_pitch_that_is_heard(tmp_path):
    curves = Curves()
    shape = hift_shape(lookahead_frames=2, channels=8, upsample_rates=[8], upsample_kernels=[16],
                       source_kernels=[7], n_fft=240)  # fmt: skip
    p = section(model=shape, fit=fit_params(steps=40, checkpoint_steps=100, average_decay=0.0))
    trained(tmp_path, tmp_path / "run", p, curves)
    assert curves.points[40]["pitch_l1"] < 0.8 * curves.points[5]["pitch_l1"]
    assert curves.points[40]["mel_l1"] < curves.points[5]["mel_l1"]


ADVERSARIAL = {
    "from_step": 5,
    "weight": 0.5,
    "feature_weight": 1.0,
    "lr_ratio": 0.5,
    "periods": [3],
    "fft_sizes": [256],
    "channels": 2,
}


def adversarial_section():
    shape = hift_shape(lookahead_frames=0, channels=8, upsample_rates=[8], upsample_kernels=[8],
                       source_kernels=[3], n_fft=240, dilations=[1])  # fmt: skip
    return section(
        model=shape,
        fit=fit_params(steps=12, checkpoint_steps=3, average_decay=0.0),
        adversarial=Adversarial(**ADVERSARIAL),
        fft_sizes=[],
    )


def test_discriminators_teach_from_their_step_on_and_are_not_kept(tmp_path):
    curves, p = Curves(), adversarial_section()
    net = trained(tmp_path, tmp_path / "run", p, curves)
    teaching = {"judging", "fooling", "features"}
    assert not teaching & curves.points[5].keys()
    assert teaching | {"mel_l1", "pitch_l1"} == curves.points[10].keys()
    assert not any("discriminator" in name for name in net.state_dict())
    (tmp_path / "saved").mkdir()
    save_network(net, tmp_path / "saved")
    assert load_vocoder(tmp_path / "saved").state_dict().keys() == net.state_dict().keys()


def test_discriminators_change_what_the_vocoder_learns(tmp_path):
    with_them = adversarial_section()
    without = with_them.model_copy(update={"adversarial": None})
    taught, alone = (
        trained(tmp_path, tmp_path / name, p).state_dict()
        for name, p in (("with", with_them), ("without", without))
    )
    assert not all(torch.equal(taught[name], alone[name]) for name in alone)


KILLED = """
import os, signal, sys
from pathlib import Path
from moss_speech.training import vocoder
from tests.training.test_vocoder import adversarial_section, trained

count, crop = 0, vocoder.VocoderBatches._crop
def deadly(self, random):
    global count
    count += 1
    if count == 29:
        os.kill(os.getpid(), signal.SIGKILL)
    return crop(self, random)

vocoder.VocoderBatches._crop = deadly
folder = Path(sys.argv[1])
trained(folder, folder / "run", adversarial_section())
"""


def test_killed_and_resumed_training_gives_the_unbroken_weights(tmp_path):
    """Killed at step 9, after the discriminators began; the last checkpoint is of step 9 or 6."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    killed = subprocess.run(command, env=environment, check=False, capture_output=True, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert (tmp_path / "run" / "train" / "last.ckpt").is_file()
    curves = Curves()
    resumed = trained(tmp_path, tmp_path / "run", adversarial_section(), curves).state_dict()
    assert 5 not in curves.points  # it did not begin anew
    unbroken = trained(tmp_path, tmp_path / "other", adversarial_section()).state_dict()
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)
