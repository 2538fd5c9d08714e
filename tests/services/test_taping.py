"""What is recorded of a conversation is what was heard and said, however it came in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from moss_speech.inference.turns import Finished, Heard, Reply, Timings, Turn, Usage
from services import taping as taping_module
from services.ids import bind
from services.recording import RecordedTurn, Recorder, Sound
from services.served import ModelInfo
from services.taping import Taping
from tests.services.test_recording import CALLER

RATE_HZ = 8000
MODEL = ModelInfo("moss-speech", "3", "d" * 64)
ALL_S = np.arange(8 * RATE_HZ, dtype=np.float32)
"""Eight seconds in which every sample is another."""


class Kept(Recorder):
    """A recorder that keeps turns in a list in place of files."""

    def __init__(self) -> None:
        self.turns: list[RecordedTurn] = []

    def turn(self, turn: RecordedTurn) -> None:
        self.turns.append(turn)


def finished(text: str = "", samples: int = 0) -> Finished:
    sound = np.ones(samples, np.float32)
    return Finished(Reply(text, (), sound, 24000, "stop", Usage(0, 0, 0, 0), Timings(0, 0, 0, 0)))


def push(taping: Taping, samples_S: np.ndarray, sizes: list[int]) -> None:
    at = 0
    for size in [*sizes, samples_S.size]:
        if samples_S[at : at + size].size:
            taping.hear(samples_S[at : at + size])
        at += size


@given(
    some.lists(some.integers(1, 20_000), max_size=8),
    some.integers(0, 3900), some.integers(1, 4000), some.integers(1, 3000),
)  # fmt: skip
def test_turns_are_cut_from_what_was_heard_for_any_pieces(
    sizes: list[int], begin_ms: int, first_ms: int, second_ms: int
) -> None:
    kept = Kept()
    taping = Taping(kept, CALLER, MODEL)
    taping.listen(RATE_HZ)
    push(taping, ALL_S, sizes)
    end_ms = begin_ms + first_ms
    second_ms = min(second_ms, 8000 - end_ms)
    taping.saw(Heard((1,), begin_ms, first_ms))
    taping.saw(Heard((1,), end_ms, second_ms))
    taping.asked((Turn("user", text="before"), Turn("user", codes=(1,))))
    taping.saw(finished(samples=480))
    (turn,) = kept.turns
    assert isinstance(turn.heard, Sound)
    assert isinstance(turn.said, Sound)
    assert turn.heard.samples.tolist() == ALL_S[8 * begin_ms : 8 * (end_ms + second_ms)].tolist()
    assert (turn.heard.rate_hz, turn.said.rate_hz, turn.said.samples.size) == (RATE_HZ, 24000, 480)


def test_text_is_recorded_where_nothing_was_heard_and_ids_are_those_of_the_log() -> None:
    kept = Kept()
    taping = Taping(kept, CALLER, MODEL)
    taping.listen(RATE_HZ)
    bind(session="sess_9", response="resp_9")
    taping.asked((Turn("user", text="a"), Turn("assistant", text="b"), Turn("user", text="c")))
    taping.saw(finished("d"))
    (turn,) = kept.turns
    assert (turn.heard, turn.said) == ("c", "d")
    assert (turn.ids["session"], turn.ids["response"]) == ("sess_9", "resp_9")


def test_another_rate_begins_a_new_tape_at_the_same_time() -> None:
    kept = Kept()
    taping = Taping(kept, CALLER, MODEL)
    taping.listen(RATE_HZ)
    taping.hear(ALL_S)  # 8 s
    taping.listen(2 * RATE_HZ)
    taping.hear(ALL_S)  # 4 s more
    taping.saw(Heard((1,), 9000, 1000))
    taping.asked(())
    taping.saw(finished())
    assert isinstance(kept.turns[0].heard, Sound)
    assert kept.turns[0].heard.samples.tolist() == ALL_S[16_000:32_000].tolist()


def test_tape_of_a_long_silence_stays_short() -> None:
    taping = Taping(Kept(), CALLER, MODEL)
    taping.listen(RATE_HZ)
    for _ in range(100):
        taping.hear(ALL_S)
    held_s = sum(piece.size for piece in taping._tape) / RATE_HZ
    assert taping_module.MAX_S <= held_s <= taping_module.MAX_S + 8
    taping.saw(Heard((1,), 799_000, 500))
    assert taping._heard[0].tolist() == ALL_S[7 * RATE_HZ : 7 * RATE_HZ + 4000].tolist()
