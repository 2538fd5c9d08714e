"""Each rule of generation by itself (docs/reference/format.md section 4).

With 512 codes, where the released audio pad would end speech, and with the released ids.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig, id_values
from moss_speech.lm.plan import PUBLISHED_CONFIG
from moss_speech.lm.sampling import GREEDY, Reply, Sampling, draw, keep_likely, penalise
from tests.lm.small import small_config, small_tokenizer

CONFIGS = {
    "512 codes": small_config(
        audio_vocab_size=640, **id_values(small_tokenizer().special_ids(512))
    ),
    "released": PUBLISHED_CONFIG,
}


@pytest.fixture(params=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> LMConfig:
    found: LMConfig = CONFIGS[request.param]
    return found


def logits(size: int, best: int) -> Tensor:
    return torch.arange(size, dtype=torch.float).neg().index_fill(0, torch.tensor([best]), 100.0)


def reply(
    config: LMConfig,
    last: tuple[int, int],
    how: Sampling = GREEDY,
    max_rows: int = 9,
    seed: int = 0,
    defer: bool = False,
) -> Reply:
    return Reply.start(np.array([(7, 1), last]), how, seed, max_rows, config, defer)


def add(state: Reply, text: int, audio: int) -> tuple[int, int]:
    """The next row when the heads' best ids are these, of every row that is asked for."""
    best = {
        "text": logits(state.config.vocab_size, text),
        "audio": logits(state.config.audio_vocab_size, audio),
    }
    return state.add({c: best[c].expand(n, -1) for c, n in state.wanted.items()})


def test_start_of_speech_switches_to_speech_before_the_first_row(config: LMConfig) -> None:
    assert reply(config, (config.ids.sosp, config.ids.audio_pad)).mode == "audio"
    assert reply(config, (9, config.ids.audio_pad)).mode == "text"


def test_prompt_that_ends_in_speech_goes_on_speaking(config: LMConfig) -> None:
    assert reply(config, (config.ids.modality_pad, 3)).mode == "audio"
    assert reply(config, (config.ids.modality_pad, config.ids.audio_pad)).mode == "text"
    assert reply(config, (config.ids.modality_pad, config.ids.eosp)).mode == "text"


def test_speech_row_has_the_modality_pad_whatever_the_text_head_says(config: LMConfig) -> None:
    state = reply(config, (config.ids.sosp, config.ids.audio_pad))
    assert add(state, text=config.ids.im_end, audio=4) == (config.ids.modality_pad, 4)
    assert not state.done


def test_text_row_keeps_the_speech_sample_and_it_does_not_switch(config: LMConfig) -> None:
    state = reply(config, (9, config.ids.audio_pad))
    assert add(state, text=11, audio=config.ids.eosp) == (11, config.ids.eosp)
    assert state.mode == "text"


def test_only_the_channel_that_is_due_is_asked_for(config: LMConfig) -> None:
    state = reply(config, (config.ids.sosp, config.ids.audio_pad), defer=True)
    assert state.wanted == {"audio": 1}
    add(state, text=11, audio=config.ids.eosp)
    assert state.wanted == {"text": 1}
    assert add(state, text=11, audio=4) == (11, config.ids.audio_pad)
    assert reply(config, (9, config.ids.audio_pad), defer=False).wanted == {"text": 1, "audio": 1}


def test_speech_ids_that_text_rows_ignored_are_drawn_when_speech_opens(
    config: LMConfig,
) -> None:
    state = reply(config, (9, config.ids.audio_pad), defer=True)
    add(state, text=11, audio=4)
    add(state, text=config.ids.sosp, audio=4)
    assert state.wanted == {"text": 1, "audio": 3}
    assert not state.seen["audio"][4]
    assert add(state, text=11, audio=4) == (config.ids.modality_pad, 4)
    assert state.seen["audio"][4] and state.missed == 0


@pytest.mark.parametrize("defer", [False, True])
def test_speech_that_opens_with_an_ignored_end_of_speech_is_closed_at_once(
    config: LMConfig, defer: bool
) -> None:
    state = reply(config, (9, config.ids.audio_pad), defer=defer)
    add(state, text=config.ids.sosp, audio=config.ids.eosp)
    assert add(state, text=11, audio=config.ids.eosp)[0] == 11
    assert state.mode == "text"


def test_end_of_speech_returns_to_text_and_text_ends_the_reply(config: LMConfig) -> None:
    state = reply(config, (config.ids.sosp, config.ids.audio_pad))
    add(state, text=11, audio=config.ids.eosp)
    assert state.mode == "text" and not state.done
    assert add(state, text=config.ids.im_end, audio=2) == (config.ids.im_end, 2)
    assert state.done


@pytest.mark.parametrize("stop", ["im_end", "pad"])
def test_reply_ends_at_turn_end_and_at_pad(config: LMConfig, stop: str) -> None:
    state = reply(config, (9, config.ids.audio_pad))
    add(state, text=getattr(config.ids, stop), audio=0)
    assert state.done


def test_reply_ends_at_its_row_limit(config: LMConfig) -> None:
    state = reply(config, (9, config.ids.audio_pad), max_rows=2)
    add(state, 11, 0)
    assert not state.done
    add(state, 11, 0)
    assert state.done


def test_unused_speech_ids_are_never_drawn(config: LMConfig) -> None:
    state = reply(config, (config.ids.sosp, config.ids.audio_pad))
    assert add(state, text=7, audio=config.n_codes + 2)[1] == 0


def test_text_never_takes_the_modality_pad(config: LMConfig) -> None:
    state = reply(config, (9, config.ids.audio_pad))
    assert add(state, text=config.ids.modality_pad, audio=2)[0] == 0


def test_speech_may_not_end_before_min_rows(config: LMConfig) -> None:
    how = Sampling(0.0, 0, 1.0, 1.0, min_rows=3)
    state = reply(config, (config.ids.sosp, config.ids.audio_pad), how)
    drawn = [add(state, text=7, audio=config.ids.eosp)[1] for _ in range(3)]
    assert drawn == [0, 0, config.ids.eosp]


def test_penalty_divides_positive_and_multiplies_negative_logits_of_seen_ids() -> None:
    values = torch.tensor([4.0, -4.0, 4.0])
    seen = torch.tensor([True, True, False])
    assert penalise(values, seen, 2.0).tolist() == [2.0, -8.0, 4.0]
    assert penalise(values, seen, 1.0) is values


def test_penalty_counts_prompt_and_generated_rows_of_its_own_channel(config: LMConfig) -> None:
    state = reply(config, (config.ids.sosp, config.ids.audio_pad), Sampling(0.0, 0, 1.0, 10.0))
    flat = torch.zeros(config.audio_vocab_size)
    flat[[1, 2, 3]] = torch.tensor([3.0, 2.0, 1.0])  # 1 is in the prompt
    text = torch.zeros(config.vocab_size)
    both = {"text": text[None], "audio": flat[None]}
    assert [state.add(both)[1] for _ in range(2)] == [2, 3]


def test_greedy_takes_the_lowest_of_equal_ids() -> None:
    values = torch.tensor([0.0, 5.0, 5.0])
    assert draw(values, GREEDY, (0, 0, 0)) == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 9e-31, 1e-30, 1e-20, 1e-6])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_smallest_temperatures_take_the_most_likely_too(temperature: float, size: float) -> None:
    values = torch.tensor([-torch.inf, -3.0, 2.0, 1.0]) * size
    how = replace(GREEDY, temperature=temperature)
    assert {draw(values, how, (0, n, 0)) for n in range(20)} == {2}


def test_top_k_and_top_p_keep_what_they_say() -> None:
    values = torch.tensor([0.1, 0.5, 0.3, 0.1]).log()
    assert keep_likely(values, 2, 1.0).isfinite().tolist() == [False, True, True, False]
    assert keep_likely(values, 0, 0.7).isfinite().tolist() == [False, True, True, False]
    assert keep_likely(values, 0, 0.4).isfinite().tolist() == [False, True, False, False]


def test_same_seed_draws_the_same_rows_and_another_seed_others(config: LMConfig) -> None:
    how = Sampling(2.0, 0, 1.0, 1.0)
    flat = {
        "text": torch.zeros(1, config.vocab_size),
        "audio": torch.zeros(1, config.audio_vocab_size),
    }

    def rows(seed: int) -> list[tuple[int, int]]:
        state = reply(config, (config.ids.sosp, config.ids.audio_pad), how, seed=seed)
        return [state.add(flat) for _ in range(9)]

    assert rows(1) == rows(1) != rows(2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -1.0), ("top_k", -1), ("top_p", 0.0), ("repetition_penalty", 0.0)],
)
def test_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        Sampling(**{**settings, name: value})  # type: ignore[arg-type]
