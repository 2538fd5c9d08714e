"""Small packs and runs for tests of the language model's training."""

from pathlib import Path

from moss_speech.corpus.packing.packed import Packed, pack
from moss_speech.lm.grid import Turn, training_sequence
from moss_speech.params.lm import LMFit
from moss_speech.records import SilentTracker, Tracker
from moss_speech.training.launch import Fit, Ranks
from tests.lm.small import small_config, small_tokenizer

TOKENIZER, CONFIG = small_tokenizer(), small_config()
PARAMS = LMFit(
    steps=12,
    lr=0.01,
    final_lr_ratio=0.1,
    warmup_steps=2,
    weight_decay=0.1,
    beta2=0.95,
    clip_norm=1.0,
    average_decay=0.0,
    precision="fp32",
    checkpoint_steps=4,
    log_steps=1,
    packed_rows_per_step=2,
    packed_rows_per_pass=2,
    activation_checkpointing=False,
    compile=None,
    dropout=0.1,
    code_noise=0.1,
    reply_noise=0.1,
    text_weight=1.0,
    speech_weight=1.0,
)
TYPED = Turn("assistant", "it is green")
SPOKEN = Turn("assistant", codes=[4, 9, 2])


def packs(*replies: Turn, each: int = 3) -> Packed:
    """Packed rows of one question with each of the replies, by default a typed and a spoken one."""
    question = Turn("user", "what color is grass")
    replies = replies or (TYPED, SPOKEN)
    sequences = [
        training_sequence([question, reply], TOKENIZER, CONFIG)
        for reply in replies
        for _ in range(each)
    ]
    return pack(sequences, 100, CONFIG.ids)


def how(
    folder: Path, tracker: Tracker | None = None, p: LMFit = PARAMS, ranks: Ranks | None = None
) -> Fit:
    """A run named lm."""
    return Fit(p, 1, folder, tracker or SilentTracker(), name="lm", ranks=ranks or Ranks())
