"""How fast the decoder speaks: as published and incrementally, alone and side by side."""

import copy
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
    torch.set_num_threads(1)
    decoder = speech_decoder("paper", SMALLER_FLOW, SMALLER_VOCODER)
    causal = speech_decoder("paper", SMALLER_FLOW, {**SMALLER_VOCODER, "lookahead_frames": 3})
    one_voice = voice(decoder, VOICE_CODES)
    for each in (decoder, causal):
        each.stream(one_voice)  # the voice's own state is made once
    theirs = speak(decoder.published_stream(one_voice, 0), REPLY_CODES)[1]
    took = in_turn(
        {
            "theirs": lambda _: first_audio(decoder.published_stream(one_voice, 0)),
            "ours": lambda _: first_audio(decoder.stream(one_voice)),
            "causal": lambda _: first_audio(causal.stream(one_voice)),
            "whole": lambda _: speak(decoder.stream(one_voice), REPLY_CODES)[1],
            "window": lambda _: recomputed_window(decoder, one_voice),
            "bf16": lambda _: min(chunk_seconds(bf16_cache(decoder), one_voice, 8)[3:]),
        },
        ROUNDS,
    )
    chunks = [chunk_seconds(decoder, one_voice, 52) for _ in range(2 * ROUNDS)]
    usual = min(min(each) for each in chunks)
    early = {key: _over(took["theirs"], took[key]) for key in ("ours", "causal")}
    audio_s = REPLY_CODES / decoder.format.codes_per_s
    return [
        figure("reply of 250 codes, published", [theirs], "s"),
        figure("reply of 250 codes, incremental", took["whole"], "s"),
        figure("real-time factor, incremental", [t / audio_s for t in took["whole"]], ""),
        figure("first audio, published", took["theirs"], "s"),
        figure("first audio, incremental", took["ours"], "s"),
        figure("first audio, incremental, causal HiFT", took["causal"], "s"),
        figure(
            "a: whole reply, published over incremental",
            [theirs / t for t in took["whole"]],
            "x",
            at_least=10.0,
        ),
        figure("a: first audio, published over incremental", early["ours"], "x", at_least=5.0),
        figure("a: first audio, the same, causal HiFT", early["causal"], "x", at_least=5.0),
        figure("a window computed anew over kept", [t / usual for t in took["window"]], "x"),
        figure("a chunk with bf16 caches over fp32", [t / usual for t in took["bf16"]], "x"),
        figure("b: chunk 50 over chunk 2", [_late_over_early(each) for each in chunks], "x", 1.1),
        *_side_by_side(decoder, one_voice, 50, ROUNDS, "released proportions"),
    ]


def first_audio(stream: DecodeStream) -> float:
    """Seconds of computing until something is heard, codes coming as fast as they are taken."""
    began = time.perf_counter()
    while not stream.push(reply(1)).size:
        pass
    return time.perf_counter() - began


def bf16_cache(decoder: SpeechDecoder) -> SpeechDecoder:
    """The same networks that keep keys and values in half precision."""
    flow = copy.copy(decoder.flow)
    flow.config = decoder.flow.config.model_copy(update={"cache": "bf16"})
    return SpeechDecoder(flow, decoder.vocoder)


def _over(values: list[float], by: list[float]) -> list[float]:
    return [a / b for a, b in zip(values, by, strict=True)]


def _late_over_early(chunks: list[float]) -> float:
    """Chunks about the fiftieth over those about the second, the least of three each."""
    return min(chunks[-3:]) / min(chunks[:3])


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
