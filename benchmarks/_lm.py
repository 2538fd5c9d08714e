"""What the benchmarks of the language model share: random models in the released proportions."""

from collections.abc import Callable, Mapping

from moss_speech.lm.config import shaped_config
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import initialise
from moss_speech.params.lm import Shape
from moss_speech.vocab import SpecialIds

ROUNDS = 5
N_CODES = 1440
N_AUDIO_VOCAB = N_CODES + 128
IDS = SpecialIds(
    pad=0, im_start=1, im_end=2, sosp=3, modality_pad=4, audio_pad=N_CODES + 1, eosp=N_CODES
)
SHAPE = Shape(
    n_text_vocab=14336,
    hidden_size=768,
    intermediate_size=2304,
    n_trunk_layers=16,
    n_heads=12,
    n_kv_heads=4,
    head_dim=64,
    max_rows=1024,
    rope_theta=1e6,
)


SMALL = SHAPE.model_copy(
    update={
        "n_text_vocab": 4096,
        "hidden_size": 192,
        "intermediate_size": 576,
        "n_heads": 3,
        "n_kv_heads": 1,
    }
)
"""The same depth, so small that overhead rules."""


def model_of(shape: Shape = SHAPE) -> LayerSplitLM:
    """A random model with two layers in each tail."""
    model = LayerSplitLM(shaped_config(shape, 2, shape.n_text_vocab, N_AUDIO_VOCAB, IDS))
    initialise(model, 0)
    return model.eval()


def in_turn(
    forms: Mapping[str, Callable[[int], float]], rounds: int = ROUNDS, warm: int = 0
) -> dict[str, list[float]]:
    """Each form once a round, given the round's number; `warm` rounds before are not counted."""
    took: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(-warm, rounds):
        for name, form in forms.items():
            value = form(number)
            if number >= 0:
                took[name].append(value)
    return took
