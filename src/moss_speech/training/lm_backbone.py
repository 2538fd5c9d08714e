"""The tiny text backbone: its tokenizer, its config, its training, and the split."""

from collections.abc import Mapping, Sequence

from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.corpus.packing.compose import Composer
from moss_speech.corpus.packing.material import Material, text_material
from moss_speech.corpus.packing.packed import Packed
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.lm.config import LMConfig, shaped_config
from moss_speech.lm.grid import REPEAT, SYSTEM
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import copy_text_to_speech, initialise
from moss_speech.lm.tokenizer import TextTokenizer, train_tokenizer
from moss_speech.params.lm import InitBackbone, Scratch
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm


def train_backbone(
    utterances: Mapping[str, Utterance],
    dialogues: Sequence[Dialogue],
    p: InitBackbone,
    source: Scratch,
    how: Fit,
) -> tuple[LayerSplitLM, TextTokenizer]:
    """Train tokenizer and text model on the training texts, then split the model."""
    material = text_material(dialogues, utterances)
    tokenizer = train_tokenizer(_texts(material), source.shape.n_text_vocab)
    ids = tokenizer.special_ids(p.n_codes)
    config = shaped_config(source.shape, p.n_tail_layers, len(tokenizer), ids.audio_pad + 1, ids)
    model = LayerSplitLM(config)
    initialise(model, how.seed)
    fit_lm(model, _packed(material, source, tokenizer, config, how.seed), source.fit, how)
    copy_text_to_speech(model, how.seed)
    return model, tokenizer


def _texts(material: Material) -> set[str]:
    """Every text that the model will meet, so that its words become whole tokens."""
    prompts = {*SYSTEM.values(), *REPEAT.values(), "system\n", "user\n", "assistant\n", "\n"}
    spoken = {s.text for s in material.spoken}
    words = {f" {word}" for text in spoken for word in text.split()}
    exchanged = {t for e in material.exchanges for t in (e.question, e.answer)}
    return prompts | spoken | words | exchanged


def _packed(
    material: Material, source: Scratch, tokenizer: TextTokenizer, config: LMConfig, seed: int
) -> Packed:
    composer = Composer(material, source.text, tokenizer, config, seed)
    return compose_packed(composer, source.text.packed_rows, source.context, config.ids)[0]
