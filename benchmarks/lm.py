"""How fast the language model generates and trains, beside what its users would run instead.

`make bench-lm` prints a table and writes benchmarks/lm.json. Sizes have the proportions of the
released 8B model; weights are random. Every ratio comes from rounds that take turns in one run.
"""

import os

os.environ.setdefault("OMP_PROC_BIND", "true")

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from _figures import Figure, figure, report
from _lm import IDS, N_CODES, SMALL, in_turn, model_of
from _lm_training import measure_training
from transformers import Qwen3Config, Qwen3ForCausalLM

from moss_speech.lm.batch import Batch
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.quantize import quantize_int8
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.slots import EAGER, Decoding, SlotDecoder

ROUNDS, ROWS, PROMPT_ROWS, SESSIONS = 7, 48, 64, 8
SPEAKING = Sampling(0.0, 0, 1.0, 1.0, min_rows=10_000)
BOTH_TAILS = Decoding(defer=False)
COMPILED = Decoding(static=True, compiler="inductor")
CAPACITY = 256


def what_the_reference_pays(config: LMConfig) -> Qwen3ForCausalLM:
    """A Qwen3 as deep as trunk and both tails, with both heads read at every row."""
    own = Qwen3Config(
        vocab_size=config.vocab_size + config.audio_vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_shared_layers + 2 * config.num_modality_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.max_position_embeddings,
        tie_word_embeddings=False,
    )
    return Qwen3ForCausalLM(own).eval()


def bytes_a_row(model: LayerSplitLM) -> tuple[int, int]:
    """Bytes of weights that a row in speech reads: without and with the text tail and head."""
    read = {n: w for n, w in model.named_parameters() if "embed" not in n}
    silent = channel_parameters(model, "text").keys()
    whole = sum(w.nbytes for w in read.values())
    return sum(w.nbytes for n, w in read.items() if n not in silent), whole


def prompt(seed: int) -> Rows:
    """A spoken question and the start of a spoken answer."""
    codes = np.random.default_rng(seed).integers(0, N_CODES, PROMPT_ROWS)
    rows = np.stack((np.full(PROMPT_ROWS, IDS.modality_pad), codes), 1)
    return np.concatenate((rows, [[IDS.sosp, IDS.audio_pad]]))


def rows_a_second(batch: Batch) -> float:
    """Rows that all slots speak together in a second, their prompts read before."""
    n = batch.free_slots
    speakers = [batch.join(prompt(k), SPEAKING, k, ROWS + n + 8) for k in range(n)]
    for _ in range(n + 2):
        batch.step()
    began = time.perf_counter()
    made = sum(len(batch.step()) for _ in range(ROWS))
    passed = time.perf_counter() - began
    assert made == n * ROWS
    for speaker in speakers:
        batch.cancel(speaker)
    return made / passed


@torch.inference_mode()
def reference_rows_a_second(model: Qwen3ForCausalLM) -> float:
    """Rows a second of transformers' own `generate`, its prompt not counted."""
    asked = torch.randint(5, 1000, (1, PROMPT_ROWS))

    def seconds(n_rows: int) -> float:
        began = time.perf_counter()
        model.generate(
            asked, max_new_tokens=n_rows, min_new_tokens=n_rows, do_sample=False, pad_token_id=0
        )
        return time.perf_counter() - began

    first = seconds(1)
    return ROWS / (seconds(ROWS + 1) - first)


def ratios(values: list[float], to: list[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(values, to, strict=True)]


def read_bandwidth() -> float:
    """Bytes a second of a sum over 400 MB, which no cache holds."""
    numbers = torch.ones(100_000_000)
    began = time.perf_counter()
    numbers.sum()
    return numbers.nbytes / (time.perf_counter() - began)


def catch_up_ms(model: LayerSplitLM, n_rows: int) -> float:
    """The text tail's pass over rows that it had left out, and its head on the last."""
    decoder = SlotDecoder(model, 1, CAPACITY)
    decoder.extend(0, np.resize(prompt(0), (n_rows, 2)))
    began = time.perf_counter()
    decoder.logits(0, "text")
    return 1000 * (time.perf_counter() - began)


def speakers(
    model: LayerSplitLM, n_sessions: int = 1, how: Decoding = EAGER
) -> Callable[[int], float]:
    """A measure of rows a second that keeps its slots, and what was compiled for them."""
    batch = Batch(model, n_sessions, CAPACITY, how)
    return lambda _: rows_a_second(batch)


def generation() -> list[Figure]:
    """Figures (a), (b), (c) and (f)."""
    model = model_of()
    reference = what_the_reference_pays(model.config)
    spoken, whole = bytes_a_row(model)
    forms = {
        "ours": speakers(model),
        "theirs": lambda _: reference_rows_a_second(reference),
        "compiled": speakers(model, how=COMPILED),
        "int8": speakers(quantize_int8(model)),
        "eight": speakers(model, SESSIONS),
        "both": speakers(model, how=BOTH_TAILS),
        "bandwidth": lambda _: read_bandwidth(),
        "late": lambda _: catch_up_ms(model, 250),
    }
    took = in_turn(forms, ROUNDS, warm=1)
    ours, theirs, compiled, int8, eight, both, bandwidth, late = took.values()
    in_bytes = [b / spoken for b in bandwidth]
    return [
        figure("162 M: one session", ours, "rows/s"),
        figure("162 M: transformers, 20 layers, both heads", theirs, "rows/s"),
        figure("162 M: bytes a row, with over without silent tail", [whole / spoken], "x"),
        figure("162 M: read bandwidth", [b / 1e9 for b in bandwidth], "GB/s"),
        figure("a: fp32 over transformers", ratios(ours, theirs), "x", at_least=1.25),
        figure("a: fp32 compiled over transformers", ratios(compiled, theirs), "x", at_least=1.25),
        figure("a: int8 over transformers", ratios(int8, theirs), "x", at_least=2.0),
        figure("b: fp32, part of the bandwidth", ratios(ours, in_bytes), "", at_least=0.8),
        figure(
            "b: fp32 compiled, part of the bandwidth", ratios(compiled, in_bytes), "", at_least=0.8
        ),
        figure("c: 8 sessions over one", ratios(eight, ours), "x", at_least=4.0),
        figure("f: deferred tail over both tails", ratios(ours, both), "x"),
        figure("f: text tail catches up on 250 rows", late, "ms"),
    ]


def small_generation() -> list[Figure]:
    """Figure (a) where overhead rules."""
    model = model_of(SMALL)
    reference = what_the_reference_pays(model.config)
    forms = {
        "ours": speakers(model),
        "theirs": lambda _: reference_rows_a_second(reference),
        "compiled": speakers(model, how=COMPILED),
    }
    ours, theirs, compiled = in_turn(forms, ROUNDS, warm=1).values()
    return [
        figure("11 M: one session", ours, "rows/s"),
        figure("11 M: transformers", theirs, "rows/s"),
        figure("a: 11 M over transformers", ratios(ours, theirs), "x", at_least=2.0),
        figure("a: 11 M compiled over transformers", ratios(compiled, theirs), "x", at_least=2.0),
    ]


PARTS = {"generation": generation, "small": small_generation, "training": measure_training}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; default: all")
    chosen = parser.parse_args().parts or list(PARTS)
    torch.set_num_threads(os.cpu_count() or 1)
    found = [one for part in chosen for one in PARTS[part]()]
    report("lm", found, keep=len(chosen) == len(PARTS))
