"""HiFT against the list of the published checkpoint's tensors."""

from pathlib import Path

import pytest
import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import vocoder_config
from moss_speech.decoder.load import check_tensors, new_vocoder
from moss_speech.params.base import load_section
from moss_speech.params.decoder import TrainVocoder
from tests.parity.released import damaged, released_shapes

PUBLISHED = released_shapes("hift_pt_shapes.json")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published_hift():
    shape = load_section(ROOT / "presets/paper.yaml", "train_vocoder", TrainVocoder).model
    with torch.device("meta"):
        return new_vocoder(vocoder_config(shape, SPEAKING))


def test_published_size_has_exactly_the_published_tensors(published_hift):
    ours = {name: tuple(t.shape) for name, t in published_hift.state_dict().items()}
    assert len(PUBLISHED) == 328
    assert ours == PUBLISHED


def test_published_size_has_the_published_parameter_count(published_hift):
    count = sum(t.numel() for t in published_hift.state_dict().values())
    assert count / 1e6 == pytest.approx(20.8, abs=0.06)


def test_published_size_looks_20_frames_ahead(published_hift):
    """Centred convolutions add up to 9,480 samples, 395 ms."""
    assert published_hift.latency_samples == 9480


@pytest.mark.parametrize("damage", ["missing", "unknown", "shape"])
def test_a_tensor_that_does_not_fit_is_named(published_hift, damage):
    shapes, name = damaged(
        PUBLISHED, damage, "resblocks.4.convs2.1.bias", "generator.conv_pre.bias"
    )
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        check_tensors(shapes, published_hift, "hift.pt")
