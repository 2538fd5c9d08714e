"""A suite as it is asked: its description and its items, checked before any model is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import soundfile
from pydantic import TypeAdapter, ValidationError

from moss_speech.evaluation.benchmarks.normal import normaliser
from moss_speech.evaluation.benchmarks.pairs import paired
from moss_speech.evaluation.benchmarks.tables import Row, inside, read_rows
from moss_speech.params.base import brief, read_yaml, validate_section
from moss_speech.params.checks import HEARD, Check
from moss_speech.params.suite import (
    SUITES,
    ChoiceFields,
    ChoiceSuite,
    CodecFields,
    InstructionSuite,
    QaSuite,
    Question,
    Suite,
)

DESCRIPTION = "suite.yaml"
MAX_ID_CHARS = 200
RECORDED = "recorded"
"""Voice of recordings of which nobody says who speaks."""
T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """Something in text, in a recording, or both; what has no recording is read aloud."""

    text: str | None
    audio: Path | None
    voice: str = RECORDED
    """Who speaks in the recording."""


@dataclass(frozen=True)
class Asked:
    """A question with the answers that count, or an instruction with its checks."""

    id: str
    said: Said
    answers: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Choice:
    """A context and what may follow it."""

    id: str
    context: Said | None
    options: tuple[Said, ...]
    right: int


@dataclass(frozen=True)
class Passage:
    """A recording, its words, and a prompt of a voice."""

    id: str
    said: Said
    prompt: Said

    @property
    def text(self) -> str:
        """What the recording says."""
        assert self.said.text is not None
        return self.said.text


Item = Asked | Choice | Passage


@dataclass(frozen=True)
class OpenedSuite:
    """A description with its items in the table's order."""

    folder: Path
    about: Suite
    items: tuple[Item, ...]


def open_suite(folder: Path) -> OpenedSuite:
    """Read and check a suite's folder; `ValueError` names file, line, value and what is allowed."""
    if not (path := folder / DESCRIPTION).is_file():
        raise ValueError(f"{folder} holds no {DESCRIPTION}, so it is no suite")
    values = read_yaml(path)
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in SUITES:
        raise ValueError(f"{path}: kind is {brief(kind)}, must be one of {', '.join(SUITES)}")
    about = validate_section(values, SUITES[kind], f"{path}: ")
    items: dict[str, Item] = {}
    rows = read_rows(folder, about.table)
    if about.table.pairs is not None:
        rows = paired(rows, about.table.pairs)
    for number, row in enumerate(rows, 1):
        item = _Reader(folder, about, row, number).item()
        if item.id in items:
            raise ValueError(f"{row.place}: id {item.id!r} occurs twice, ids must be different")
        items[item.id] = item
    return OpenedSuite(folder, about, tuple(items.values()))


class _Reader:
    """One row as an item of its suite."""

    def __init__(self, folder: Path, about: Suite, row: Row, number: int) -> None:
        self._folder, self._about, self._row, self._number = folder, about, row, number
        self._voice = self._optional(row.text, about.item.voice) or RECORDED

    def item(self) -> Item:
        about, fields = self._about, self._about.item
        id = self._row.text(fields.id or str(self._number))
        if len(id) > MAX_ID_CHARS:
            raise self._wrong(f"an id has {len(id)} characters, must have at most {MAX_ID_CHARS}")
        if isinstance(fields, ChoiceFields):
            assert isinstance(about, ChoiceSuite)
            return self._choice(id, fields, about)
        if isinstance(fields, CodecFields):
            return self._passage(id, fields)
        routes = ("s2s",) if not isinstance(about, QaSuite | InstructionSuite) else about.routes
        said = self._said(fields, {route[0] for route in routes})
        answers = self._answers(about) if isinstance(about, QaSuite) else ()
        checks = self._checks(about) if isinstance(about, InstructionSuite) else ()
        return Asked(id, said, answers, checks)

    def _passage(self, id: str, fields: CodecFields) -> Passage:
        text = self._words(self._row.text(fields.text))
        audio = self._optional(self._audio, fields.audio)
        prompt_audio = self._optional(self._audio, fields.prompt_audio)
        prompt = Said(self._row.text(fields.prompt_text), prompt_audio, self._voice)
        said = self._heard(Said(text, audio, self._voice), {"s"}, "passage")
        return Passage(id, said, self._heard(prompt, {"s"}, "prompt"))

    def _said(self, fields: Question, needed: set[str]) -> Said:
        text = self._optional(self._row.text, fields.question)
        audio = self._optional(self._audio, fields.audio)
        return self._heard(Said(text, audio, self._voice), needed, "question")

    def _heard(self, said: Said, needed: set[str], what: str) -> Said:
        """Whether something can be given as the routes want it: `t` typed, `s` spoken."""
        if "t" in needed and said.text is None:
            raise self._wrong(f"the {what} has no text, which a typed route needs")
        if "s" in needed and said.audio is None and not (said.text and self._about.speakers):
            raise self._wrong(
                f"the {what} has no recording, which a spoken route needs: name its file, or "
                f"voices that read its text (`speakers`)"
            )
        return said

    def _choice(self, id: str, fields: ChoiceFields, about: ChoiceSuite) -> Choice:
        asks, answers = ({route[k] for route in about.routes} for k in (0, 2))
        context = None
        if fields.context is not None or fields.context_audio is not None:
            text = self._optional(self._row.text, fields.context)
            audio = self._optional(self._audio, fields.context_audio)
            context = self._heard(Said(text, audio, self._voice), asks, "context")
        elif about.form == "chat" or not set(about.routes) <= {"t2t", "s2s"}:
            raise self._wrong("there is no context, which form 'chat' and routes s2t, t2s need")
        texts = self._each(self._row.text, fields.options, about)
        sounds = self._each(self._audio, fields.options_audio, about)
        options = [
            self._heard(Said(text, audio, self._voice), answers, "option")
            for text, audio in zip(texts, sounds, strict=True)
        ]
        if (right := self._row.text(fields.right)) not in about.labels:
            raise self._wrong(f"right is {right!r}, must be one of {', '.join(about.labels)}")
        return Choice(id, context, tuple(options), about.labels.index(right))

    def _each(
        self, read: Callable[[str], T], templates: Sequence[str] | None, about: ChoiceSuite
    ) -> list[T | None]:
        if templates is None:
            return [None] * len(about.labels)
        if len(templates) != len(about.labels):
            n = len(templates)
            raise self._wrong(f"there are {n} options, must be {len(about.labels)} (one a label)")
        return [read(template) for template in templates]

    def _answers(self, about: QaSuite) -> tuple[str, ...]:
        given = about.item.answers
        values = self._row.listed(given) if isinstance(given, str) else map(self._row.fill, given)
        answers = [str(value).strip() for value in values]
        if not answers:
            raise self._wrong("there are 0 answers, must be at least 1")
        return tuple(self._words(answer) for answer in answers)

    def _words(self, text: str | None) -> str:
        """Text that holds something to compare."""
        if not text or not normaliser(self._about.language)(text):
            raise self._wrong(f"{text!r} holds no word or character to compare")
        return text

    def _checks(self, about: InstructionSuite) -> tuple[Check, ...]:
        values = self._row.listed(about.item.checks)
        if not values:
            raise self._wrong("there are 0 checks, must be at least 1")
        try:
            checks: list[Check] = TypeAdapter(list[Check]).validate_python(values, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise self._wrong(f"checks.{key} is {first['input']!r}: {first['msg']}") from None
        unheard = [c.kind for c in checks if c.kind not in HEARD]
        if unheard and any(route.endswith("s") for route in about.routes):
            raise self._wrong(f"check {unheard[0]!r} cannot be heard, so no route may be spoken")
        return tuple(checks)

    def _audio(self, template: str) -> Path:
        name = self._row.text(template)
        path = inside(self._folder, name, self._row.place)
        if not path.is_file():
            raise self._wrong(f"{path} does not exist")
        try:
            frames = soundfile.info(path).frames
        except (soundfile.SoundFileError, OSError) as error:
            raise self._wrong(f"{path} is not readable audio: {error}") from error
        if frames == 0:
            raise self._wrong(f"{path} holds 0 samples, must hold at least 1")
        return path

    def _optional(self, read: Callable[[str], T], template: str | None) -> T | None:
        return None if template is None else read(template)

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{self._row.place}: {what}")


def item_texts(item: Item) -> dict[str, Any]:
    """What an item asks and wants, for people who read its row."""
    match item:
        case Asked():
            return {"question": item.said.text or "", "expected": list(item.answers)}
        case Choice():
            context = "" if item.context is None else item.context.text or ""
            return {"question": context, "expected": [item.options[item.right].text or ""]}
        case Passage():
            return {"question": item.text, "expected": [item.text]}
