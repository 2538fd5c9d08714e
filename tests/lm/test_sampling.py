"""Each rule of generation by itself (docs/reference/format.md section 4)."""

import numpy as np
import pytest
import torch
from torch import Tensor

from moss_speech.lm.sampling import GREEDY, Reply, Sampling, draw, keep_likely, penalise
from tests.lm.small import N_CODES, small_config

CONFIG = small_config()
IDS = CONFIG.ids


def logits(size: int, best: int) -> Tensor:
    return torch.arange(size, dtype=torch.float).neg().index_fill(0, torch.tensor([best]), 100.0)


def reply(
    last: tuple[int, int],
    how: Sampling = GREEDY,
    max_rows: int = 9,
    seed: int = 0,
    defer: bool = False,
) -> Reply:
    return Reply.start(np.array([(7, 1), last]), how, seed, max_rows, CONFIG, defer)


def add(state: Reply, text: int, audio: int) -> tuple[int, int]:
    """The next row when the heads' best ids are these, of every row that is asked for."""
    best = {
        "text": logits(CONFIG.vocab_size, text),
        "audio": logits(CONFIG.audio_vocab_size, audio),
    }
    return state.add({c: best[c].expand(n, -1) for c, n in state.wanted.items()})


def test_start_of_speech_switches_to_speech_before_the_first_row() -> None:
    assert reply((IDS.sosp, IDS.audio_pad)).mode == "audio"
    assert reply((9, IDS.audio_pad)).mode == "text"


def test_prompt_that_ends_in_speech_goes_on_speaking() -> None:
    assert reply((IDS.modality_pad, 3)).mode == "audio"
    assert reply((IDS.modality_pad, IDS.audio_pad)).mode == "text"
    assert reply((IDS.modality_pad, IDS.eosp)).mode == "text"


def test_speech_row_has_the_modality_pad_whatever_the_text_head_says() -> None:
    state = reply((IDS.sosp, IDS.audio_pad))
    assert add(state, text=IDS.im_end, audio=4) == (IDS.modality_pad, 4)
    assert not state.done


def test_text_row_keeps_the_speech_sample_and_it_does_not_switch() -> None:
    state = reply((9, IDS.audio_pad))
    assert add(state, text=11, audio=IDS.eosp) == (11, IDS.eosp)
    assert state.mode == "text"


def test_only_the_channel_that_is_due_is_asked_for() -> None:
    state = reply((IDS.sosp, IDS.audio_pad), defer=True)
    assert state.wanted == {"audio": 1}
    add(state, text=11, audio=IDS.eosp)
    assert state.wanted == {"text": 1}
    assert add(state, text=11, audio=4) == (11, IDS.audio_pad)
    assert reply((9, IDS.audio_pad), defer=False).wanted == {"text": 1, "audio": 1}


def test_speech_ids_that_text_rows_ignored_are_made_up_for_when_speech_opens() -> None:
    state = reply((9, IDS.audio_pad), defer=True)
    add(state, text=11, audio=4)
    add(state, text=IDS.sosp, audio=4)
    assert state.wanted == {"text": 1, "audio": 3}
    assert not state.seen["audio"][4]
    assert add(state, text=11, audio=4) == (IDS.modality_pad, 4)
    assert state.seen["audio"][4] and state.missed == 0


@pytest.mark.parametrize("defer", [False, True])
def test_speech_that_opens_with_an_ignored_end_of_speech_is_closed_at_once(defer: bool) -> None:
    state = reply((9, IDS.audio_pad), defer=defer)
    add(state, text=IDS.sosp, audio=IDS.eosp)
    assert add(state, text=11, audio=IDS.eosp)[0] == 11
    assert state.mode == "text"


def test_end_of_speech_returns_to_text_and_text_ends_the_reply() -> None:
    state = reply((IDS.sosp, IDS.audio_pad))
    add(state, text=11, audio=IDS.eosp)
    assert state.mode == "text" and not state.done
    assert add(state, text=IDS.im_end, audio=2) == (IDS.im_end, 2)
    assert state.done


@pytest.mark.parametrize("stop", [IDS.im_end, IDS.pad])
def test_reply_ends_at_turn_end_and_at_pad(stop: int) -> None:
    state = reply((9, IDS.audio_pad))
    add(state, text=stop, audio=0)
    assert state.done


def test_reply_ends_at_its_row_limit() -> None:
    state = reply((9, IDS.audio_pad), max_rows=2)
    add(state, 11, 0)
    assert not state.done
    add(state, 11, 0)
    assert state.done


def test_unused_speech_ids_are_never_drawn() -> None:
    state = reply((IDS.sosp, IDS.audio_pad))
    assert add(state, text=7, audio=N_CODES + 2)[1] == 0


def test_text_never_takes_the_modality_pad() -> None:
    state = reply((9, IDS.audio_pad))
    assert add(state, text=IDS.modality_pad, audio=2)[0] == 0


def test_speech_may_not_end_before_min_rows() -> None:
    how = Sampling(0.0, 0, 1.0, 1.0, min_rows=3)
    state = reply((IDS.sosp, IDS.audio_pad), how)
    drawn = [add(state, text=7, audio=IDS.eosp)[1] for _ in range(3)]
    assert drawn == [0, 0, IDS.eosp]


def test_penalty_divides_positive_and_multiplies_negative_logits_of_seen_ids() -> None:
    values = torch.tensor([4.0, -4.0, 4.0])
    seen = torch.tensor([True, True, False])
    assert penalise(values, seen, 2.0).tolist() == [2.0, -8.0, 4.0]
    assert penalise(values, seen, 1.0) is values


def test_penalty_counts_prompt_and_generated_rows_of_its_own_channel() -> None:
    state = reply((IDS.sosp, IDS.audio_pad), Sampling(0.0, 0, 1.0, 10.0))
    flat = torch.zeros(CONFIG.audio_vocab_size)
    flat[[1, 2, 3]] = torch.tensor([3.0, 2.0, 1.0])  # 1 is in the prompt
    text = torch.zeros(CONFIG.vocab_size)
    both = {"text": text[None], "audio": flat[None]}
    assert [state.add(both)[1] for _ in range(2)] == [2, 3]


def test_greedy_takes_the_lowest_of_equal_ids() -> None:
    values = torch.tensor([0.0, 5.0, 5.0])
    assert draw(values, GREEDY, (0, 0, 0)) == 1


def test_top_k_and_top_p_keep_what_they_say() -> None:
    values = torch.tensor([0.1, 0.5, 0.3, 0.1]).log()
    assert keep_likely(values, 2, 1.0).isfinite().tolist() == [False, True, True, False]
    assert keep_likely(values, 0, 0.7).isfinite().tolist() == [False, True, True, False]
    assert keep_likely(values, 0, 0.4).isfinite().tolist() == [False, True, False, False]


def test_same_seed_draws_the_same_rows_and_another_seed_others() -> None:
    how = Sampling(2.0, 0, 1.0, 1.0)
    flat = {
        "text": torch.zeros(1, CONFIG.vocab_size),
        "audio": torch.zeros(1, CONFIG.audio_vocab_size),
    }

    def rows(seed: int) -> list[tuple[int, int]]:
        state = reply((IDS.sosp, IDS.audio_pad), how, seed=seed)
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
