"""The flow network chunk by chunk against the same network run whole under the same masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import SPEAKING
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.stream import FlowStream, VoicePrompt, VoiceState
from moss_speech.decoder.flow.view import View
from moss_speech.decoder.plan import plan_streams
from moss_speech.params.base import read_yaml
from moss_speech.params.decoder import FlowShape
from moss_speech.settings import settings as project
from tests.decoder.networks import N_CODES, flow_network

TOLERANCE = 2e-5
"""Of mel values up to 5; the worst measured is 2.5e-6."""
SPEAKER = torch.randn(160, generator=torch.Generator().manual_seed(5))


def prompt_of(n_codes: int) -> VoicePrompt:
    draw = torch.Generator().manual_seed(n_codes)
    codes = torch.randint(N_CODES, (n_codes,), generator=draw)
    return VoicePrompt(codes, torch.randn(4 * n_codes, 80, generator=draw), SPEAKER)


def reply_of(n_codes: int, seed: int = 9) -> torch.Tensor:
    return torch.randint(N_CODES, (n_codes,), generator=torch.Generator().manual_seed(seed))


def whole(flow: FlowNetwork, prompt: VoicePrompt, reply: torch.Tensor) -> torch.Tensor:
    codes = torch.cat([prompt.codes_N, reply])[None]
    mel = flow(codes, None, prompt.mel_TM[None], prompt.speaker_K[None])
    return mel[0, len(prompt.codes_N) * 4 :]


class Slots:
    """Drives the slots of one voice as a room does, without a vocoder."""

    def __init__(self, flow: FlowNetwork, prompt: VoicePrompt, n: int) -> None:
        self._chunk, self._wanted = flow.config.chunk_codes, flow.config.chunk_codes + 3
        self._voice = VoiceState.of(flow, prompt)
        self.stream, self._n = FlowStream(flow, self._voice, n), n
        self._at, self._codes = [0] * n, [torch.zeros(0, dtype=torch.int64)] * n

    def join(self, slot: int, reply: torch.Tensor) -> None:
        self.stream.join(slot)
        rest = self._voice.prompt.codes_N[self._voice.view.pinned :]
        self._codes[slot], self._at[slot] = torch.cat([rest, reply]), 0

    def step(self, *slots: int) -> list[torch.Tensor]:
        """Mel of the next chunk of these slots, what of it is the reply's."""
        codes = torch.zeros(self._n, self._wanted, dtype=torch.int64)
        known = torch.zeros(self._n, dtype=torch.int64)
        prompt = torch.zeros(self._n, 4 * self._chunk, 80)
        n_voice, pinned = len(self._voice.prompt.codes_N), self._voice.view.pinned
        for slot in slots:
            at = self._at[slot]
            part = self._codes[slot][at : at + self._wanted]
            codes[slot, : len(part)], known[slot] = part, len(part)
            mel = self._voice.prompt.mel_TM[4 * (pinned + at) :][: 4 * self._chunk]
            prompt[slot, : len(mel)] = mel
            self._at[slot] += self._chunk
        mel = self.stream.step(codes, known, prompt)
        spoken = []
        for slot in slots:
            at = self._at[slot] - self._chunk
            first = max(0, n_voice - pinned - at)
            last = min(self._chunk, len(self._codes[slot]) - at)
            spoken.append(mel[slot, 4 * first : 4 * last])
        return spoken

    def rest(self, slot: int) -> torch.Tensor:
        pieces = []
        while self._at[slot] < len(self._codes[slot]):
            pieces += self.step(slot)
        return torch.cat(pieces)


@settings(max_examples=25)
@given(
    n_voice=st.integers(1, 30),
    n_reply=st.integers(1, 70),
    chunk=st.sampled_from([1, 2, 5]),
    chunks_in_context=st.integers(1, 6),
    steps=st.sampled_from([0, 2]),
    slot=st.integers(0, 1),
)
def test_chunks_equal_the_whole_under_the_same_masks(
    n_voice, n_reply, chunk, chunks_in_context, steps, slot
):
    flow = flow_network(
        chunk_codes=chunk, context_codes=chunk * chunks_in_context, steps=steps, noise_frames=100
    )
    prompt, reply = prompt_of(n_voice), reply_of(n_reply)
    slots = Slots(flow, prompt, 2)
    slots.join(slot, reply)
    assert torch.allclose(slots.rest(slot), whole(flow, prompt, reply), rtol=0, atol=TOLERANCE)


def test_context_long_enough_gives_the_published_masks():
    flow = flow_network(context_codes=100)
    prompt, reply = prompt_of(12), reply_of(60)
    slots = Slots(flow, prompt, 1)
    slots.join(0, reply)
    codes = torch.cat([prompt.codes_N, reply])[None]
    published = flow(
        codes,
        None,
        prompt.mel_TM[None],
        prompt.speaker_K[None],
        View(flow.config.chunk_codes),
    )
    assert torch.allclose(slots.rest(0), published[0, 48:], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_stream_has_the_same_bits_alone_and_among_neighbours_of_any_age(steps):
    flow, prompt, reply = flow_network(steps=steps), prompt_of(13), reply_of(40)
    alone = Slots(flow, prompt, 4)
    alone.join(2, reply)
    wanted = alone.rest(2)

    busy = Slots(flow, prompt, 4)
    busy.join(0, reply_of(60, seed=1))
    busy.step(0)
    busy.join(2, reply_of(60, seed=4))  # an earlier stream of the same slot
    busy.step(0, 2)
    busy.join(2, reply)
    busy.join(1, reply_of(60, seed=2))
    made = [busy.step(0, 2)[1], busy.step(2)[0], *busy.step(1, 2)[1:]]
    made.append(busy.rest(2))
    assert torch.equal(torch.cat(made), wanted)


@pytest.mark.parametrize("cache", ["fp32", "bf16"])
@pytest.mark.parametrize("steps", [0, 2])
def test_bytes_kept_are_those_that_were_planned(cache, steps):
    flow, prompt = flow_network(steps=steps, cache=cache), prompt_of(23)
    slots = Slots(flow, prompt, 3)
    slots.join(0, reply_of(100))
    slots.rest(0)
    state = VoiceState.of(flow, prompt)
    planned = plan_streams(flow.config, SPEAKING, len(prompt.codes_N))
    assert slots.stream.memory_bytes() == 3 * planned.session_bytes
    assert state.memory_bytes() == planned.voice_bytes


def test_memory_does_not_grow_with_the_reply():
    flow, prompt = flow_network(), prompt_of(12)
    slots = Slots(flow, prompt, 1)
    slots.join(0, reply_of(300))
    slots.step(0)
    before = slots.stream.memory_bytes()
    slots.rest(0)
    assert slots.stream.memory_bytes() == before


def test_half_precision_caches_change_the_mel_little():
    prompt, reply = prompt_of(13), reply_of(60)
    mels = []
    for cache in ("fp32", "bf16"):
        slots = Slots(flow_network(cache=cache), prompt, 1)
        slots.join(0, reply)
        mels.append(slots.rest(0))
    exact, half = mels
    assert not torch.equal(exact, half)
    assert (exact - half).abs().max() < 0.002 * exact.abs().max()  # measured 0.0001


def test_published_size_keeps_what_the_format_says():
    """4.6 MB of float32 a frame: 56 blocks, 10 steps, 2 for guidance, 512 wide keys and values."""
    shape = read_yaml(project().root / "presets/paper.yaml")["train_decoder"]["model"]
    planned = plan_streams(FlowShape(**shape), SPEAKING, 100)
    assert planned.frame_bytes == 56 * 10 * 2 * 2 * 512 * 4 + 4 * 2 * 512 * 4
    assert np.isclose(planned.session_bytes / 1e6, 554.5472)
