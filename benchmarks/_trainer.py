"""Training text against the Trainer of transformers: equal model, dialogues, optimizer settings.

Shapes: N packed rows, L grid rows, C channels (0 text, 1 speech).
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _figures import Figure, figure
from _lm import IDS, SHAPE, in_turn, model_of
from numpy.typing import NDArray
from torch import Tensor

from moss_speech.corpus.packing.packed import PREFIX, Packed, pack
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import IGNORE, GridSequence
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import qwen3_tensors
from moss_speech.params.lm import LMFit
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.lm_batches import PackedSteps

WARM_STEPS, TIMED_STEPS = 1, 2
CONTEXT, LONGEST, SYSTEM_TURN = 512, 256, 20
"""Grid rows of a packed row, of the longest dialogue, of the system turn that all open with."""
DIALOGUES, DIALOGUES_A_STEP = 2000, 10
"""Enough dialogues for the Trainer to sort 50 batches by length at a time, as it does at best."""
TRAINER_TRUNK_LAYERS = 4
"""Trunk of the comparison with the Trainer, for time; heads weigh more in it than at full depth."""
FIT = LMFit(
    steps=WARM_STEPS + TIMED_STEPS,
    lr=1e-5,
    final_lr_ratio=1.0,
    warmup_steps=0,
    weight_decay=0.0,
    beta2=0.999,
    clip_norm=1.0,
    average_decay=0.0,
    precision="fp32",
    checkpoint_steps=1000,
    log_steps=1,
    packed_rows_per_step=2,
    packed_rows_per_pass=2,
    activation_checkpointing=False,
    compile=None,
    dropout=0.0,
    code_noise=0.0,
    reply_noise=0.0,
    text_weight=1.0,
    speech_weight=1.0,
)


def typed_dialogues(n: int) -> list[GridSequence]:
    """Text dialogues of 40..256 tokens, mean near 90; the second half of each is learnt."""
    random, dialogues = np.random.default_rng(0), []
    system_L = random.integers(5, SHAPE.n_text_vocab, SYSTEM_TURN)
    for length in np.clip(random.lognormal(4.35, 0.55, n), 40, LONGEST).astype(int):
        rows_LC = np.full((length, 2), IDS.audio_pad, np.int64)
        rows_LC[:, 0] = random.integers(5, SHAPE.n_text_vocab, length)
        rows_LC[:SYSTEM_TURN, 0] = system_L
        targets_LC = np.full((length, 2), IGNORE, np.int64)
        targets_LC[length // 2 : -1, 0] = rows_LC[length // 2 + 1 :, 0]
        dialogues.append(GridSequence(rows_LC, targets_LC, SYSTEM_TURN))
    return dialogues


@dataclass
class Clock(SilentTracker):
    """When each step ended."""

    ended_s: list[float] = field(default_factory=list)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Note the time."""
        self.ended_s.append(time.perf_counter())

    def per_token_ms(self, tokens: list[int]) -> float:
        """Milliseconds a token over the steps after the warm ones."""
        spent_s = self.ended_s[WARM_STEPS + TIMED_STEPS - 1] - self.ended_s[WARM_STEPS - 1]
        return 1000 * spent_s / sum(tokens[WARM_STEPS : WARM_STEPS + TIMED_STEPS])


def ours(model: LayerSplitLM, packed: Packed, seed: int) -> float:
    """Milliseconds a dialogue token of `fit_lm`; each round begins elsewhere in the pack."""
    order = np.roll(np.arange(len(packed)), -seed * FIT.steps * FIT.packed_rows_per_step)
    turned = Packed(**{name: part[order] for name, part in vars(packed).items()})
    steps, clock = PackedSteps(turned, FIT, model.config, ["text"], seed), Clock()
    with tempfile.TemporaryDirectory() as folder:
        fit_lm(model, turned, FIT, Fit(FIT, seed, Path(folder), clock))
    tokens = [int(dialogue_tokens(steps(i).document_BL.numpy())) for i in range(FIT.steps)]
    return clock.per_token_ms(tokens)


def dialogue_tokens(document_NL: NDArray[np.integer[Any]]) -> int:
    """Tokens of the dialogues in packed rows, the shared system turn counted in each."""
    own = int((document_NL > PREFIX).sum())
    shared = int(((document_NL == PREFIX).sum(1) * document_NL.max(1)).sum())
    return own + shared


def qwen3_of(model: LayerSplitLM) -> Any:
    """The text path as the model of transformers, weights and all."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    c: LMConfig = model.config
    theirs = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=c.vocab_size,
            hidden_size=c.hidden_size,
            intermediate_size=c.intermediate_size,
            num_hidden_layers=c.num_hidden_layers,
            num_attention_heads=c.num_attention_heads,
            num_key_value_heads=c.num_key_value_heads,
            head_dim=c.head_dim,
            rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
            tie_word_embeddings=False,
            use_cache=False,
        )
    )
    theirs.load_state_dict(qwen3_tensors(model))
    return theirs


class Collator:
    """Pads a batch to its longest item and counts its tokens."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Items of equal keys as tensors, filled up on the right."""
        filling = {"input_ids": IDS.pad, "labels": IGNORE, "attention_mask": 0, "position_ids": 0}
        self.tokens.append(sum(item["tokens"] for item in items))
        longest = max(len(item["input_ids"]) for item in items)
        return {
            key: torch.tensor(
                [list(i[key]) + [filling[key]] * (longest - len(i[key])) for i in items]
            )
            for key in items[0]
            if key in filling
        }


def trainer(model: Any, items: list[dict[str, Any]], batch: int, grouped: bool, seed: int) -> float:
    """Milliseconds a token of the Trainer of transformers with the same optimiser settings."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock, collator = Clock(), Collator()

    class Times(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.metrics({})

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            per_device_train_batch_size=batch,
            max_steps=FIT.steps,
            train_sampling_strategy="group_by_length" if grouped else "sequential",
            learning_rate=FIT.lr,
            lr_scheduler_type="constant",
            weight_decay=FIT.weight_decay,
            max_grad_norm=FIT.clip_norm,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        Trainer(model, arguments, collator, items, callbacks=[Times()]).train()
    return clock.per_token_ms(collator.tokens)


def separate_items(dialogues: list[GridSequence]) -> list[dict[str, Any]]:
    """Dialogues as the Trainer's users feed them; labels are shifted by its model."""
    return [
        {
            "input_ids": d.rows_TC[:, 0].tolist(),
            "labels": [IGNORE, *d.targets_TC[:-1, 0].tolist()],
            "attention_mask": [1] * len(d.rows_TC),
            "tokens": len(d.rows_TC),
        }
        for d in dialogues
    ]


def packed_items(packed: Packed) -> list[dict[str, Any]]:
    """Our packed rows with their positions, by which the model of transformers tells documents."""
    return [
        {
            "input_ids": packed.rows_NLC[n, :, 0].tolist(),
            "labels": [IGNORE, *packed.targets_NLC[n, :-1, 0].tolist()],
            "position_ids": packed.position_NL[n].tolist(),
            "tokens": dialogue_tokens(packed.document_NL[n : n + 1]),
        }
        for n in range(len(packed))
    ]


def against_trainer() -> Iterator[Figure]:
    """Tokens a second of ours over the Trainer's, on dialogues and on equal packed rows."""
    model = model_of(SHAPE.model_copy(update={"n_trunk_layers": TRAINER_TRUNK_LAYERS}))
    theirs, dialogues = qwen3_of(model), typed_dialogues(DIALOGUES)
    shared, apart = pack(dialogues, CONTEXT, IDS), separate_items(dialogues)
    unshared = [dataclasses.replace(d, n_prefix=0) for d in dialogues]
    packed = pack(unshared, CONTEXT, IDS)
    rows = packed_items(packed)
    per_step = FIT.packed_rows_per_step
    forms: dict[str, Callable[[int], float]] = {
        "ours": lambda seed: ours(model, shared, seed),
        "ours, system turn not shared": lambda seed: ours(model, packed, seed),
        "grouped": lambda seed: trainer(theirs, apart, DIALOGUES_A_STEP, True, seed),
        "packed": lambda seed: trainer(
            theirs, rows[seed * FIT.steps * per_step :], per_step, False, seed
        ),
    }
    took = in_turn(forms)
    for mine, name, what, goal in (
        ("ours", "grouped", "dialogues grouped by length", 1.3),
        ("ours, system turn not shared", "packed", "equal packed rows", 1.0),
    ):
        ratios = [a / b for a, b in zip(took[name], took[mine], strict=True)]
        yield figure(f"d: tokens/s over the Trainer, {what}", ratios, "x", at_least=goal)
    for name, values in took.items():
        yield figure(f"training, {name}", [1000 / v for v in values], "tokens/s")
