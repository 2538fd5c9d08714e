"""Counted memory of serving against what a small model really allocates; the published size."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from moss_speech.audio import SPEAKING
from moss_speech.bundle import Bundle
from moss_speech.codec.config import PUBLISHED_CODEC
from moss_speech.codec.stream import CodecStream
from moss_speech.decoder.config import FlowConfig, vocoder_config
from moss_speech.decoder.convert import PUBLISHED_SHAPES
from moss_speech.decoder.room import Room
from moss_speech.inference.capacity import Sizes, Weights, plan_serving
from moss_speech.inference.serving import Serving, prepared
from moss_speech.lm.plan import PUBLISHED_CONFIG
from moss_speech.lm.slots import SlotDecoder
from tests.codec.small import noise

ROWS = 200
WAYS: dict[Weights, Serving] = {
    "fp32": Serving(dtype="fp32"),
    "bf16": Serving(dtype="bf16"),
    "int8": Serving(dtype="bf16", weights="int8"),
}
T = TypeVar("T")


def tensor_bytes() -> dict[int, int]:
    """Bytes of the memory of every tensor of floats that Python can reach.

    Indices of one pass, which all layers of it share, are left out.
    """
    gc.collect()
    found = [x for x in gc.get_objects() if isinstance(x, torch.Tensor)]
    memories = [x.untyped_storage() for x in found if x.is_cpu and x.is_floating_point()]
    return {memory.data_ptr(): memory.nbytes() for memory in memories if memory.nbytes()}


def allocated(make: Callable[[], T]) -> tuple[T, int]:
    """What `make` gives and the bytes of tensors that stay with it."""
    before = tensor_bytes()
    made = make()
    new = tensor_bytes()
    return made, sum(size for place, size in new.items() if place not in before)


def speaking_room(bundle: Bundle, slots: int) -> Room:
    """Streams of one voice that have spoken for a while."""
    room = bundle.decoder.room(bundle.voices["assistant"], slots)
    for _ in range(slots):
        room.join().push([1] * 40)
    while room.advance():
        pass
    return room


@pytest.mark.parametrize("weights", list(WAYS))
def test_weights_and_cache_are_those_of_a_real_model(bundle_folder: Path, weights: Weights) -> None:
    plan = plan_serving(Sizes.of_bundle(bundle_folder), weights, ROWS)
    bundle = prepared(Bundle.open(bundle_folder), WAYS[weights])
    assert sum(w.nbytes for w in bundle.lm.state_dict().values()) == plan.lm_bytes
    parts = (bundle.codec.encoder, bundle.decoder.flow, bundle.decoder.vocoder)
    real = [w.nbytes for part in parts for w in (*part.parameters(), *part.buffers())]
    assert sum(real) == plan.speech_bytes
    SlotDecoder(bundle.lm, 1, ROWS)  # joins weights that are read together
    slots, with_three = allocated(lambda: SlotDecoder(bundle.lm, 3, ROWS))
    other, with_one = allocated(lambda: SlotDecoder(bundle.lm, 1, ROWS))
    assert (slots.n_slots, other.n_slots) == (3, 1)
    assert with_three - with_one == 2 * plan.cache_bytes


def test_streams_of_decoder_and_codec_are_those_that_run(bundle_folder: Path) -> None:
    plan = plan_serving(Sizes.of_bundle(bundle_folder), "fp32", ROWS)
    bundle = Bundle.open(bundle_folder)
    speaking_room(bundle, 1)  # the voice's own state
    (_, alone), (room, beside) = (allocated(lambda n=n: speaking_room(bundle, n)) for n in (1, 3))
    assert room.n_codes == bundle.codec.config.n_codes
    assert (beside - alone) / 2 == pytest.approx(plan.speaking_bytes, rel=0.03)
    CodecStream(bundle.codec).push(noise(16000))  # windows and filters, which all share
    stream, size = allocated(lambda: CodecStream(bundle.codec))
    assert size == pytest.approx(plan.listening_bytes, rel=0.02)
    pieces = np.split(noise(16000 * 5), 50)  # as they come from a line
    _, grown = allocated(lambda: [stream.push(piece) for piece in pieces])
    assert grown < 0.05 * plan.listening_bytes


def published(weights: Weights, rows: int = 4096) -> "tuple[int, ...]":
    values = PUBLISHED_SHAPES.flow.model_dump()
    flow = FlowConfig(**values, n_codes=16384, codec_digest="", format=SPEAKING)
    vocoder = vocoder_config(PUBLISHED_SHAPES.hift, SPEAKING)
    plan = plan_serving(Sizes(PUBLISHED_CONFIG, PUBLISHED_CODEC, flow, vocoder), weights, rows)
    assert plan.row_bytes == (163_840 + 4096 * 2) * (2 if weights == "fp32" else 1)
    return tuple(plan.sessions(int(gb * 1e9), n_voices=1) for gb in (16, 24, 40))


def test_published_model_needs_int8_for_16_gb() -> None:
    assert published("fp32") == (0, 0, 0)
    small, middle, large = published("bf16")
    assert small == 0 < middle < large
    small, middle, large = published("int8")
    assert 0 < small < middle < large
    assert published("int8", rows=1024)[0] > small


def test_rooms_are_whole_and_sessions_fill_what_is_left(bundle_folder: Path) -> None:
    plan = plan_serving(Sizes.of_bundle(bundle_folder), "fp32", ROWS)
    fixed = plan.lm_bytes + plan.speech_bytes + plan.voice_bytes
    own, stream = plan.cache_bytes + plan.listening_bytes, plan.speaking_bytes
    for wanted in (1, 3, 4, 5, 8, 9):
        places = min(4, wanted)
        enough = fixed + wanted * own + -(-wanted // 4) * places * stream
        assert plan.sessions(enough, n_voices=1) == wanted
        assert plan.sessions(enough - 1, n_voices=1) == wanted - 1
        assert plan.sessions(enough + plan.voice_bytes + places * stream, n_voices=2) == wanted


def test_sessions_longer_than_the_model_are_refused(bundle_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"session rows are 1025, must be 1\.\.1024"):
        plan_serving(Sizes.of_bundle(bundle_folder), "bf16", 1025)
