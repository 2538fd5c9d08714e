"""The items that a page lets one hear: failures first, a few right ones, spectrograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moss_speech.evaluation.pages.saved import Evaluation, HeardAs, Judged
from moss_speech.evaluation.pages.sounds import Clip, Sounds
from moss_speech.evaluation.suites import spread
from moss_speech.params.evaluate import PageParams

HARD_FIRST = (
    "s2s", "s2s_wording", "s2s_voice", "t2s", "s2t", "t2t", "s2s_synthesizer",
    "unspoken_answer_t2s", "text_only_s2s", "text_only_s2t", "resynthesis", "ceiling",
)  # fmt: skip
"""Cells of the project's own evaluation whose items are shown."""


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


def example(item: Judged, title: str, sounds: Sounds) -> Example:
    """An item as a card."""
    return Example(
        cell=title,
        voice=item.voice,
        question=item.question,
        expected=item.expected,
        text=item.text,
        right=item.is_right,
        heard=item.heard,
        question_clip=sounds.clip(item.question_audio),
        answer_clip=sounds.clip(item.answer_audio),
    )


class Examples:
    """Chooses among the items of one evaluation and packs their sound."""

    def __init__(
        self, evaluation: Evaluation, titles: Mapping[str, str], p: PageParams, sounds: Sounds
    ) -> None:
        self._titles, self._p, self._sounds = titles, p, sounds
        judged = shown_items(evaluation)
        self.n_answered = len(judged)
        self._failed = sorted((x for x in judged if not x.is_right), key=hardness)
        self._right = [x for x in judged if x.is_right]

    @property
    def n_failures(self) -> int:
        """Items that not every judge found right."""
        return len(self._failed)

    def hero(self) -> Example | None:
        """The first right answer of the hardest cell that can be heard with its question."""
        found = (self._example(item) for item in self._heard_right())
        return next((e for e in found if e.question_clip and e.answer_clip), None)

    def failures(self) -> list[Example]:
        """Failed items, hardest cell first, worst first."""
        return [self._example(item) for item in self._failed[: self._p.failures]]

    def successes(self) -> list[Example]:
        """Right spoken answers, evenly over the cells."""
        spoken = [(x.cell, x) for x in self._right if x.answer_audio and x.question_audio]
        return [self._example(x) for x in spread(spoken, self._p.successes, seed=0)]

    def spectra(self) -> list[Spectra]:
        """Pictures of right answers to different facts."""
        by_fact = {item.fact: item for item in self._heard_right()}
        found = []
        for item in list(by_fact.values())[: self._p.spectrograms]:
            asked = self._sounds.picture(item.question_audio)
            answered = self._sounds.picture(item.answer_audio)
            if asked and answered:
                found.append(Spectra(item.voice, item.question, item.expected, asked, answered))
        return found

    def _heard_right(self) -> list[Judged]:
        """Right answers of the hardest cell with two sounds."""
        both = [x for x in self._right if x.answer_audio and x.question_audio]
        return [x for x in both if x.cell == both[0].cell] if both else []

    def _example(self, item: Judged) -> Example:
        return example(item, self._titles.get(item.cell, item.cell), self._sounds)


def shown_items(evaluation: Evaluation) -> Sequence[Judged]:
    """Items that pages show: of the project's own evaluation those of questions."""
    if not evaluation.is_own:
        return evaluation.items
    found = [x for x in evaluation.items if x.cell in HARD_FIRST]
    return sorted(found, key=lambda x: HARD_FIRST.index(x.cell))


def hardness(item: Judged) -> tuple[int, float, str]:
    """Order of items on a page: hardest cell first, worst first."""
    place = HARD_FIRST.index(item.cell) if item.cell in HARD_FIRST else len(HARD_FIRST)
    return place, item.part, item.id
