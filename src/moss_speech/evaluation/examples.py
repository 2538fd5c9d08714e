"""The items that the page lets one hear: failures first, a few right ones, spectrograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moss_speech.audio import SPEAKING, Samples, read_audio
from moss_speech.evaluation.scores import Record, Scorer, Verdict
from moss_speech.evaluation.sounds import Clip, clip, spectrogram
from moss_speech.evaluation.suites import REPEAT_TITLES, spread
from moss_speech.params.evaluate import PageParams

_HARD_FIRST = (
    "s2s", "s2s_wording", "s2s_voice", "t2s", "s2t", "t2t", "s2s_synthesizer",
    "unspoken_answer_t2s", "text_only_s2s", "text_only_s2t", "resynthesis", "ceiling",
)  # fmt: skip
_RATE_HZ = SPEAKING.sample_rate_hz


@dataclass(frozen=True)
class HeardAs:
    """What one judge made of an answer."""

    judge: str
    words: str
    right: bool


@dataclass(frozen=True)
class Example:
    """One item as a card of the page."""

    cell: str
    voice: str
    question: str
    expected: str
    text: str | None
    """The answer in text; None where it was spoken."""
    right: bool
    heard: tuple[HeardAs, ...]
    question_clip: Clip | None
    answer_clip: Clip | None


@dataclass(frozen=True)
class Spectra:
    """Question and answer as pictures."""

    voice: str
    question: str
    expected: str
    question_image: str
    answer_image: str


class Examples:
    """Chooses among the records and packs their sound until the page is full."""

    def __init__(
        self,
        folder: Path,
        root: Path,
        records: Sequence[Record],
        answers: Sequence[str],
        p: PageParams,
    ) -> None:
        self._folder, self._root, self._p = folder, root, p
        self._room = p.max_bytes
        self._clips: dict[Path, Clip | None] = {}
        scorer = Scorer(answers)
        judged = [
            (r, scorer.verdict(r))
            for r in records
            if r.item.cell not in REPEAT_TITLES and r.item.cell in _HARD_FIRST
        ]
        self.n_answered = len(judged)
        self._failed = sorted((x for x in judged if x[1].value < 1), key=_hardness)
        self._right = [x for x in judged if x[1].value == 1]

    @property
    def n_failures(self) -> int:
        """Items that not every judge found right."""
        return len(self._failed)

    def hero(self) -> Example | None:
        """The first right answer of the hardest cell, with both sounds."""
        found = self._of_cell("s2s")
        return self._example(*found[0], title="") if found else None

    def failures(self, titles: Mapping[str, str]) -> list[Example]:
        """Failed items, hardest cell first, worst first."""
        return [
            self._example(r, v, titles[r.item.cell]) for r, v in self._failed[: self._p.failures]
        ]

    def successes(self, titles: Mapping[str, str]) -> list[Example]:
        """Right spoken answers, evenly over the cells."""
        spoken = [(r.item.cell, (r, v)) for r, v in self._right if r.audio and r.question_audio]
        drawn = spread(spoken, self._p.successes, seed=0)
        return [self._example(r, v, titles[r.item.cell]) for r, v in drawn]

    def spectra(self) -> list[Spectra]:
        """Pictures of right answers to different facts."""
        by_fact = {r.item.fact: r for r, _ in self._of_cell("s2s")}
        return [
            Spectra(
                r.item.voice,
                r.item.question,
                r.item.expected,
                *(spectrogram(self._sound(path), _RATE_HZ) for path in self._paths(r)),
            )
            for r in list(by_fact.values())[: self._p.spectrograms]
        ]

    def _of_cell(self, cell: str) -> list[tuple[Record, Verdict]]:
        """Right answers of a cell whose question and answer can both be heard."""
        found = [x for x in self._right if x[0].item.cell == cell]
        return [x for x in found if len(self._paths(x[0])) == 2]

    def _paths(self, record: Record) -> list[Path]:
        named = [(self._root, record.question_audio), (self._folder, record.audio)]
        paths = [folder / name for folder, name in named if name is not None]
        return [path for path in paths if path.is_file()]

    def _example(self, record: Record, verdict: Verdict, title: str) -> Example:
        item = record.item
        asked = record.question_audio
        return Example(
            cell=title,
            voice=item.voice,
            question=item.question,
            expected=item.expected,
            text=record.text if item.reply == "text" else None,
            right=verdict.value == 1,
            heard=_heard(record, verdict),
            question_clip=None if asked is None else self._clip(self._root / asked),
            answer_clip=None if record.audio is None else self._clip(self._folder / record.audio),
        )

    def _clip(self, path: Path) -> Clip | None:
        """A clip, or None where the file is absent or the page is full."""
        if path not in self._clips:
            packed = clip(self._sound(path), _RATE_HZ) if path.is_file() else None
            self._room -= len(packed.data_uri) if packed else 0
            self._clips[path] = packed if self._room >= 0 else None
        return self._clips[path]

    def _sound(self, path: Path) -> Samples:
        return read_audio(path, _RATE_HZ)


def _hardness(judged: tuple[Record, Verdict]) -> tuple[int, float, str]:
    record, verdict = judged
    return _HARD_FIRST.index(record.item.cell), verdict.value, record.item.id


def _heard(record: Record, verdict: Verdict) -> tuple[HeardAs, ...]:
    found = (
        ("Whisper", record.whisper, verdict.whisper),
        ("Sphinx", record.sphinx, verdict.sphinx),
        ("codes", record.nearest, verdict.codes),
    )
    return tuple(HeardAs(j, w, r) for j, w, r in found if w is not None and r is not None)
