"""The tiny text backbone: its tokenizer, its config, its training, and the split."""

from collections.abc import Mapping, Sequence

from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.corpus.packing.compose import Composer
from moss_speech.corpus.packing.material import Material, text_material
from moss_speech.corpus.packing.packed import Packed
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.lm.config import LMConfig, id_values
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
    config = scratch_config(p, source, tokenizer)
    model = LayerSplitLM(config)
    initialise(model, how.seed)
    fit_lm(model, _packed(material, source, tokenizer, config, how.seed), source.fit, how)
    copy_text_to_speech(model, how.seed)
    return model, tokenizer


def scratch_config(p: InitBackbone, source: Scratch, tokenizer: TextTokenizer) -> LMConfig:
    """The config of a model of our own."""
    shape, ids = source.shape, tokenizer.special_ids(p.n_codes)
    values = {
        "vocab_size": len(tokenizer),
        "audio_vocab_size": ids.audio_pad + 1,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.n_trunk_layers + p.n_tail_layers,
        "num_shared_layers": shape.n_trunk_layers,
        "num_modality_layers": p.n_tail_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.max_rows,
        "rms_norm_eps": 1e-6,
        "rope_theta": shape.rope_theta,
        **id_values(ids),
    }
    return LMConfig.from_json(values, "init_backbone.source.shape")


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
