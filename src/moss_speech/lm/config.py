"""What a layer-split language model is made of: the keys of the published config.json.

Names and meaning: docs/reference/format.md section 1.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from moss_speech.params.base import Params, validate_section
from moss_speech.params.lm import Shape
from moss_speech.storage import read_json
from moss_speech.vocab import PUBLISHED_IDS, SpecialIds

_ID_KEYS = {
    "pad": "pad_token_id",
    "im_start": "im_start_token_id",
    "im_end": "eos_token_id",
    "sosp": "sosp_token_id",
    "modality_pad": "modality_pad_token_id",
    "eosp": "eosp_token_id",
    "audio_pad": "audio_pad_token_id",
}
"""Field of `SpecialIds` to key of config.json."""


class LMConfig(Params):
    """Sizes and special ids of one model; values that we cannot compute are refused."""

    vocab_size: int = Field(ge=1)
    audio_vocab_size: int = Field(ge=2)
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    num_shared_layers: int = Field(ge=0)
    num_modality_layers: int = Field(ge=0)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int = Field(ge=1)
    head_dim: int = Field(ge=2, multiple_of=2)
    hidden_act: Literal["silu"] = "silu"
    max_position_embeddings: int = Field(ge=1)
    rms_norm_eps: float = Field(gt=0)
    rope_theta: float = Field(gt=1)
    rope_scaling: None = None
    attention_bias: Literal[False] = False
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    use_sliding_window: Literal[False] = False
    tie_word_embeddings: Literal[False] = False
    initializer_range: float = Field(default=0.02, gt=0)
    channels: Literal[2] = 2
    pad_token_id: int
    im_start_token_id: int
    eos_token_id: int
    sosp_token_id: int
    modality_pad_token_id: int
    eosp_token_id: int
    audio_pad_token_id: int

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        depth = self.num_shared_layers + self.num_modality_layers
        if depth != self.num_hidden_layers:
            raise ValueError(
                f"num_hidden_layers is {self.num_hidden_layers}, must be {depth} "
                f"(num_shared_layers + num_modality_layers)"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads is {self.num_attention_heads}, must be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        self.ids.check(self.vocab_size, self.audio_vocab_size)
        return self

    @cached_property
    def ids(self) -> SpecialIds:
        """The special ids by role."""
        return SpecialIds(**{role: getattr(self, key) for role, key in _ID_KEYS.items()})

    @property
    def n_codes(self) -> int:
        """Codes of the codec: every speech id below the end of speech."""
        return self.eosp_token_id

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str = "config.json") -> "LMConfig":
        """Read a published or own config; keys without a bearing on the numbers are dropped.

        Ids that the published file leaves out take the published value.
        """
        known = {key: value for key, value in values.items() if key in cls.model_fields}
        for role, key in _ID_KEYS.items():
            known.setdefault(key, getattr(PUBLISHED_IDS, role))
        return validate_section(known, cls, where)

    def to_json(self) -> dict[str, Any]:
        """The content of config.json that the config determines."""
        kind = {"architectures": ["MossSpeechForCausalLM"], "model_type": "moss_speech"}
        return {**kind, **self.model_dump()}


def id_values(ids: SpecialIds) -> dict[str, int]:
    """Special ids as keys of config.json."""
    return {key: getattr(ids, role) for role, key in _ID_KEYS.items()}


def shaped_config(
    shape: Shape, n_tail_layers: int, vocab_size: int, audio_vocab_size: int, ids: SpecialIds
) -> LMConfig:
    """The config of a model that is made here."""
    values = {
        "vocab_size": vocab_size,
        "audio_vocab_size": audio_vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.n_trunk_layers + n_tail_layers,
        "num_shared_layers": shape.n_trunk_layers,
        "num_modality_layers": n_tail_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.max_rows,
        "rms_norm_eps": 1e-6,
        "rope_theta": shape.rope_theta,
        **id_values(ids),
    }
    return LMConfig.from_json(values, "the shape")


def read_config(folder: Path) -> LMConfig:
    """Read `config.json` of a model folder; `ValueError` names the key, value and limit."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no config.json, so it is no model folder")
    return LMConfig.from_json(read_json(path), str(path))
