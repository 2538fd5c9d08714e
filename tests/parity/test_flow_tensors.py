"""The flow network against the list of the published checkpoint's tensors."""

from pathlib import Path

import pytest

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.load import check_tensors, on_meta_device
from moss_speech.params.base import load_section
from moss_speech.params.decoder import TrainDecoder
from tests.parity.released import damaged, released_shapes

PUBLISHED = released_shapes("flow_pt_shapes.json")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published_flow():
    shape = load_section(ROOT / "presets/paper.yaml", "train_decoder", TrainDecoder).model
    values = shape.model_dump() | {"speaker": "given", "speaker_width": 192}
    return on_meta_device(FlowConfig(**values, n_codes=16384, codec_digest="", format=SPEAKING))


def test_published_size_has_exactly_the_published_tensors(published_flow):
    ours = {name: tuple(t.shape) for name, t in published_flow.state_dict().items()}
    assert len(PUBLISHED) == 1121
    assert ours == PUBLISHED


def test_published_size_has_the_published_parameter_count(published_flow):
    parts = {"encoder.": 38.9, "decoder.": 71.3, "input_embedding": 10.5, "": 120.7}
    state = published_flow.state_dict()
    for start, millions in parts.items():
        count = sum(t.numel() for n, t in state.items() if n.startswith(start))
        assert count / 1e6 == pytest.approx(millions, abs=0.06), start


@pytest.mark.parametrize("damage", ["missing", "unknown", "shape"])
def test_a_tensor_that_does_not_fit_is_named(published_flow, damage):
    shapes, name = damaged(PUBLISHED, damage, "encoder.up_layer.conv.bias", "epoch")
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        check_tensors(shapes, published_flow, "flow.pt")
