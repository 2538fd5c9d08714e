"""Figures of a load: what answers took, what came too late, what was refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moss_speech.client.dialogue import Turn
from moss_speech.client.line import ServiceError

FIRST_AUDIO_GOAL_S, HEARD_GOAL_S = 1.0, 1.5
"""Nineteen of twenty answers must be played so soon after the turn's end, and after the acoustic
end with the service's usual window of silence, or real time was not held: a service that hears
too slowly says too late that a turn has ended.
"""


@dataclass(frozen=True)
class Spread:
    """How some seconds are spread."""

    n: int
    p50: float
    p95: float
    most: float

    def __str__(self) -> str:
        return f"p50 {self.p50:6.3f}  p95 {self.p95:6.3f}  most {self.most:6.3f}  (n {self.n})"


def spread_of(seconds: Sequence[float]) -> Spread | None:
    """None of nothing; quantiles are interpolated."""
    if not seconds:
        return None
    p50, p95 = np.quantile(seconds, (0.5, 0.95))
    return Spread(len(seconds), round(float(p50), 4), round(float(p95), 4), round(max(seconds), 4))


class Tally:
    """Counts over all conversations of a load."""

    def __init__(self) -> None:
        self.from_turn_end_s: list[float] = []
        """First sound after the last committed sample, or after `speech_stopped`."""
        self.to_playing_s: list[float] = []
        """The same until the listener, who wants some reserve, begins to play."""
        self.from_speech_end_s: list[float] = []
        """First sound after the acoustic end of the question: with the window of silence in it."""
        self.to_silence_s: list[float] = []
        """Onset of an interruption until nothing of the answer sounds or comes any more."""
        self.statuses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        """By code; `refused` counts those to whom the service said when to come again."""
        self.reasons: dict[str, str] = {}
        """The first error of each code in the service's words."""
        self.refused = self.silent = self.underruns = 0
        self.late_s = self.spoken_s = 0.0

    def turn(self, turn: Turn) -> None:
        """Count an answer that has ended."""
        self.statuses[turn.response["status"]] += 1
        self.underruns += turn.playback.n_late
        self.late_s += turn.playback.late_s
        self.spoken_s += turn.audio_s
        if turn.first_s is None:
            self.silent += 1
        else:
            self.from_turn_end_s.append(turn.first_s - turn.question.end_s)
            begins_s = turn.playback.begins_s or turn.first_s  # text is read at once
            self.to_playing_s.append(begins_s - turn.question.end_s)
            self.from_speech_end_s.append(turn.first_s - turn.question.speech_end_s)
        if turn.silence_s is not None:
            self.to_silence_s.append(turn.silence_s)

    def error(self, error: ServiceError) -> None:
        """Count a conversation that was refused or broke."""
        if error.retry_after_s is not None:
            self.refused += 1
        else:
            self.errors[error.code] += 1
            self.reasons.setdefault(error.code, str(error))

    def timed_out(self) -> None:
        """Count a turn that was given up."""
        self.errors["timeout"] += 1

    @property
    def holds_real_time(self) -> bool:
        """Whether everybody was let in and heard every answer in time and without a gap."""
        first, heard = spread_of(self.to_playing_s), spread_of(self.from_speech_end_s)
        failed = self.refused or self.underruns or self.errors or self.statuses["failed"]
        if first is None or heard is None or failed:
            return False
        return first.p95 < FIRST_AUDIO_GOAL_S and heard.p95 < HEARD_GOAL_S

    def to_json(self) -> dict[str, Any]:
        """All figures; spreads are in seconds."""
        names = ("from_turn_end_s", "to_playing_s", "from_speech_end_s", "to_silence_s")
        spreads = {name: spread_of(getattr(self, name)) for name in names}
        return {
            **{
                name: None if spread is None else asdict(spread) for name, spread in spreads.items()
            },
            "answers": dict(self.statuses),
            "silent_answers": self.silent,
            "spoken_s": round(self.spoken_s, 2),
            "underruns": self.underruns,
            "underrun_s": round(self.late_s, 3),
            "refused": self.refused,
            "errors": dict(self.errors),
            "holds_real_time": self.holds_real_time,
        }

    def lines(self) -> list[str]:
        """The figures for people."""
        spreads = {
            "first sound after the end of the turn": self.from_turn_end_s,
            "the same, until it is played": self.to_playing_s,
            "first sound after the acoustic end": self.from_speech_end_s,
            "silence after an interruption": self.to_silence_s,
        }
        table = [f"{name:40}{spread_of(s)} s" for name, s in spreads.items() if s]
        answers = _counts(self.statuses) + f"; {self.spoken_s:.0f} s of speech"
        return [
            *table,
            f"{'answers':40}{answers}; {self.silent} silent",
            f"{'underruns':40}{self.underruns}, {self.late_s:.3f} s in all",
            f"{'refused for now; errors':40}{self.refused}; {_counts(self.errors)}",
            *self.reasons.values(),
            f"{'real time':40}{'held' if self.holds_real_time else 'NOT held'}",
        ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counter.items())) or "none"
