"""Which configs are read, which are refused."""

import pytest

from moss_speech.lm.config import LMConfig
from moss_speech.lm.plan import PUBLISHED_CONFIG
from tests.lm.small import N_CODES, small_config


def test_ids_missing_from_a_published_config_take_published_values() -> None:
    assert PUBLISHED_CONFIG.ids.audio_pad == 512
    assert PUBLISHED_CONFIG.ids.im_start == 151644
    assert PUBLISHED_CONFIG.n_codes == 16384


def test_config_survives_writing_and_reading() -> None:
    config = small_config()
    assert LMConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("audio_pad_token_id", N_CODES, "audio_pad and eosp"),
        ("audio_pad_token_id", 512, "audio id audio_pad is 512"),
        ("sosp_token_id", 99999, "text id sosp is 99999"),
        ("num_hidden_layers", 7, "num_hidden_layers is 7, must be 3"),
        ("num_key_value_heads", 3, "multiple"),
        ("rope_scaling", {"type": "yarn"}, "rope_scaling"),
        ("attention_bias", True, "attention_bias"),
        ("tie_word_embeddings", True, "tie_word_embeddings"),
        ("hidden_act", "gelu", "hidden_act"),
        ("head_dim", 9, "head_dim"),
    ],
)
def test_config_we_cannot_compute_is_refused_by_name(key: str, value: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        LMConfig.from_json({**small_config().to_json(), key: value})
