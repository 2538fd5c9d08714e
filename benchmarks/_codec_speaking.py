"""How fast the decoder speaks: as published and incrementally, alone and side by side."""

import gc
import time

import numpy as np
import psutil
import torch
from _codec import SMALLER_FLOW, SMALLER_VOCODER, reply, speech_decoder, voice
from _figures import Figure, figure
from _lm import in_turn

from moss_speech.decoder.model import DecodeStream, SpeechDecoder
from moss_speech.decoder.voice import Voice

ROUNDS, SESSIONS, REPLY_CODES, VOICE_CODES = 3, 8, 250, 100
DEMO_ROUNDS, DEMO_VOICE_CODES = 7, 20
EARLY_CODES, LONG_CODES = 750, 7500
"""One minute and ten."""


def speak(stream: DecodeStream, n_codes: int) -> tuple[float, float]:
    """Seconds to the first audio and to the last, of computing alone: codes wait for nobody."""
    began, first = time.perf_counter(), 0.0
    for code in reply(n_codes):
        if stream.push([code]).size and not first:
            first = time.perf_counter() - began
    stream.finish()
    return first, time.perf_counter() - began


def chunk_seconds(decoder: SpeechDecoder, one_voice: Voice, n_chunks: int) -> list[float]:
    """Seconds of each push of a chunk's codes."""
    stream, chunk = decoder.stream(one_voice), decoder.flow.config.chunk_codes
    stream.push(reply(chunk + decoder.flow.config.lookahead_codes))
    took = []
    for k in range(n_chunks):
        began = time.perf_counter()
        stream.push(reply(chunk, k))
        took.append(time.perf_counter() - began)
    return took


def together(decoder: SpeechDecoder, one_voice: Voice, n_codes: int) -> float:
    """Seconds of eight replies side by side."""
    room = decoder.room(one_voice, SESSIONS)
    began = time.perf_counter()
    for k in range(SESSIONS):
        stream = room.join()
        stream.push(reply(n_codes, k))
        stream.end()
    while room.advance():
        pass
    return time.perf_counter() - began


def one_after_another(decoder: SpeechDecoder, one_voice: Voice, n_codes: int) -> float:
    """Seconds of eight replies one by one."""
    return sum(speak(decoder.stream(one_voice), n_codes)[1] for _ in range(SESSIONS))


def recomputed_window(decoder: SpeechDecoder, one_voice: Voice) -> float:
    """Seconds of one chunk if voice and context were computed anew instead of kept."""
    config = decoder.flow.config
    n_codes = len(one_voice.codes) + config.context_codes + config.chunk_codes
    with torch.inference_mode():
        began = time.perf_counter()
        decoder.flow(
            torch.tensor([reply(n_codes)]),
            None,
            torch.from_numpy(one_voice.mel)[None],
            torch.from_numpy(one_voice.speaker)[None],
        )
        return time.perf_counter() - began


def released_proportions() -> list[Figure]:
    """Figures (a), (b) and (e) for a smaller decoder of the released structure."""
    decoder = speech_decoder("paper", SMALLER_FLOW, SMALLER_VOCODER)
    one_voice = voice(decoder, VOICE_CODES)
    decoder.stream(one_voice)  # the voice's own state is made once
    ours, theirs, first, last, window = [], [], [], [], []
    for _ in range(ROUNDS):
        theirs.append(speak(decoder.published_stream(one_voice, 0), REPLY_CODES))
        ours.append(speak(decoder.stream(one_voice), REPLY_CODES))
        chunks = chunk_seconds(decoder, one_voice, 52)
        first.append(min(chunks[:3]))
        last.append(min(chunks[-3:]))
        window.append(recomputed_window(decoder, one_voice) / min(chunks[-3:]))
    audio_s = REPLY_CODES / decoder.format.codes_per_s
    whole = [b[1] / a[1] for a, b in zip(ours, theirs, strict=True)]
    early = [b[0] / a[0] for a, b in zip(ours, theirs, strict=True)]
    growth = [b / a for a, b in zip(first, last, strict=True)]
    return [
        figure("reply of 250 codes, published", [t for _, t in theirs], "s"),
        figure("reply of 250 codes, incremental", [t for _, t in ours], "s"),
        figure("real-time factor, incremental", [t / audio_s for _, t in ours], ""),
        figure("first audio, published", [t for t, _ in theirs], "s"),
        figure("first audio, incremental", [t for t, _ in ours], "s"),
        figure("a: whole reply, published over incremental", whole, "x", at_least=10.0),
        figure("a: first audio, published over incremental", early, "x", at_least=5.0),
        figure("a window computed anew over kept", window, "x"),
        figure("b: chunk 50 over chunk 2", growth, "x", goal=1.1),
        *_side_by_side(decoder, one_voice, 50, 1, "released proportions"),
    ]


def demo() -> list[Figure]:
    """Figures (d), its decoding half, and (e) for the decoder of the demo, on one core."""
    torch.set_num_threads(1)
    decoder = speech_decoder("demo")
    one_voice, n_codes = voice(decoder, DEMO_VOICE_CODES), 125
    audio_s = n_codes / decoder.format.codes_per_s
    took = in_turn(
        {
            "stream": lambda _: speak(decoder.stream(one_voice), n_codes)[1] / audio_s,
            "whole": lambda _: _whole(decoder, one_voice, n_codes) / audio_s,
        },
        DEMO_ROUNDS,
        warm=1,
    )
    return [
        figure("d: demo, real-time factor of streaming", took["stream"], "", goal=0.12),
        figure("demo, real-time factor of decoding at once", took["whole"], ""),
        *_side_by_side(decoder, one_voice, n_codes, DEMO_ROUNDS, "demo"),
    ]


def _whole(decoder: SpeechDecoder, one_voice: Voice, n_codes: int) -> float:
    began = time.perf_counter()
    decoder.decode(reply(n_codes), one_voice)
    return time.perf_counter() - began


def _side_by_side(
    decoder: SpeechDecoder, one_voice: Voice, n_codes: int, rounds: int, name: str
) -> list[Figure]:
    took = in_turn(
        {
            "apart": lambda _: one_after_another(decoder, one_voice, n_codes),
            "together": lambda _: together(decoder, one_voice, n_codes),
        },
        rounds,
        warm=1,
    )
    gain = [a / b for a, b in zip(took["apart"], took["together"], strict=True)]
    return [figure(f"e: 8 sessions together over apart, {name}", gain, "x", at_least=2.0)]


def memory() -> list[Figure]:
    """Figure (f): what ten minutes of speech add to the memory of one minute."""
    decoder = speech_decoder("demo", {"steps": 2})
    stream, process = decoder.stream(voice(decoder, DEMO_VOICE_CODES)), psutil.Process()
    codes, sizes = reply(LONG_CODES), []
    for k, code in enumerate(codes, 1):
        stream.push([code])
        if k % EARLY_CODES == 0:
            gc.collect()
            sizes.append(process.memory_info().rss / 1e6)
    growth = float(np.max(sizes) - sizes[0])
    return [figure("f: decoder, memory of 10 minutes over that of 1", [growth], "MB", goal=10.0)]


PARTS = {"released": released_proportions, "demo": demo, "memory": memory}
