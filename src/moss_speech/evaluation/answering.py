"""The model's side of a run: it hears the questions, answers them, and is timed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from moss_speech.audio import Samples
from moss_speech.codec.model import Codec, Codes
from moss_speech.corpus.items import Utterance
from moss_speech.evaluation.scores import by_cell
from moss_speech.evaluation.suites import REPEAT_TITLES, Item
from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import Output, Reply, Turn
from moss_speech.lm.grid import REPEAT
from moss_speech.lm.sampling import GREEDY

_HEARD_AT_ONCE = 64
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Ears:
    """Codes of utterances, each encoded once from its audio file."""

    codes: Mapping[str, Codes]

    @classmethod
    def listen(cls, codec: Codec, utterances: Iterable[Utterance], progress: Progress) -> "Ears":
        """Encode every utterance; `ValueError` for a file that is no audio."""
        all_of_them = sorted({u.id: u for u in utterances}.values(), key=lambda u: u.duration_s)
        rate_hz = codec.config.audio_format.sample_rate_hz
        codes: dict[str, Codes] = {}
        for start in range(0, len(all_of_them), _HEARD_AT_ONCE):
            some = all_of_them[start : start + _HEARD_AT_ONCE]
            heard = codec.encode([u.read(rate_hz) for u in some])
            codes |= {u.id: c for u, c in zip(some, heard, strict=True)}
            progress(len(codes), len(all_of_them), "clips heard")
        return cls(codes)


def answer(
    engine: Engine, items: Sequence[Item], ears: Ears, max_rows: int, progress: Progress
) -> list[Reply]:
    """Answer items cell by cell, taking the most likely row each time; replies in item order."""
    replies: dict[str, Reply] = {}
    for cell, of_cell in by_cell(items, lambda item: item.cell).items():
        output: Output = "text" if of_cell[0].reply == "text" else "audio"
        turns = [_turns(item, output, ears) for item in of_cell]
        made = engine.reply_batch(turns, output, sampling=GREEDY, seed=0, max_rows=max_rows)
        replies |= {item.id: reply for item, reply in zip(of_cell, made, strict=True)}
        progress(len(replies), len(items), f"answered: {cell}")
    return [replies[item.id] for item in items]


def _turns(item: Item, output: Output, ears: Ears) -> list[Turn]:
    asked = (
        Turn("user", text=item.question)
        if item.utterance is None
        else Turn("user", codes=tuple(ears.codes[item.utterance].tolist()))
    )
    if item.cell in REPEAT_TITLES and item.cell != "repeat_s2s":
        return [Turn("system", text=REPEAT[output]), asked]
    return [asked]


@dataclass(frozen=True)
class Latency:
    """Medians over questions that were answered one by one on this machine."""

    first_audio_s: float
    real_time_factor: float
    """Seconds of work for a second of answer."""
    n: int


def time_answers(
    engine: Engine, questions: Sequence[tuple[Samples, int]], max_rows: int
) -> Latency | None:
    """Stream spoken answers to (audio, rate) one by one after a warm-up; None without questions."""
    if not questions:
        return None
    timed = []
    for samples_S, rate_hz in (questions[0], *questions):
        asked = Turn("user", audio=samples_S, sample_rate_hz=rate_hz)
        timed.append(engine.reply([asked], "audio", sampling=GREEDY, seed=0, max_rows=max_rows))
    spoke = [r for r in timed[1:] if r.audio.size]
    if not spoke:
        return None
    return Latency(
        first_audio_s=round(median(r.timings.first_s for r in spoke), 3),
        real_time_factor=round(median(r.timings.total_s / r.audio_s for r in spoke), 3),
        n=len(spoke),
    )
