"""suite.yaml: what a suite of questions is, where its items are, how they are asked and judged.

Fields of an item are templates over the columns of the table: "{Question}" is a column, and
"{A}. {B}" joins two. Where files and defaults are explained: docs/reference/suites.md.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from moss_speech.params.base import Params
from moss_speech.params.bundle import Generation

Route = Literal["t2t", "s2t", "t2s", "s2s"]
"""Typed or spoken question, to an answer in text or in speech."""
Text = Annotated[str, Field(min_length=1)]


def _different(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("must all be different")
    return values


System = dict[Literal["text", "audio"], Text]
Routes = Annotated[list[Route], Field(min_length=1), AfterValidator(_different)]
Labels = Annotated[list[Text], Field(min_length=2, max_length=26), AfterValidator(_different)]
GREEDY = Generation(
    temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, min_rows=0, max_rows=250
)


class Pairing(Params):
    """Two rows are one item, a right one and a wrong one, as minimal pairs are published."""

    by: Annotated[list[Text], Field(min_length=1)]
    """Columns whose values both rows share; they keep their names."""
    correct: Text
    """Column with 1 in the right row and 0 in the wrong one; others become right.X and wrong.X."""


class Table(Params):
    """The file of the items, below the suite's folder."""

    file: Text
    """Its ending says how it is read: .jsonl, .json, .csv, .tsv, .lst; may hold a `*`."""
    header: list[Text] | None = None
    """Names of the columns where the file's first line is an item already."""
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    """Between columns; default: a comma, a tab for .tsv, | for .lst."""
    pairs: Pairing | None = None


class Speaker(Params):
    """A synthesiser's voice that reads questions which have no recording."""

    synthesizer: Literal["espeak-ng", "flite", "piper", "kokoro"]
    voice: Text


class _Fields(Params):
    id: Text | None = None
    """Default: the number of the row."""
    voice: Text | None = None
    """Who speaks in the recordings; items of one voice are drawn together for intervals."""


class Question(_Fields):
    """What is asked: its text, its recording, or both."""

    question: Text | None = None
    audio: Text | None = None
    """File below the suite's folder."""


class QaFields(Question):
    """A question with the answers that count."""

    answers: Text | list[Text]
    """A list, or a column that holds one."""


class InstructionFields(Question):
    """An instruction with what an answer must fulfil."""

    checks: Text
    """A column with a list of checks."""


class ChoiceFields(_Fields):
    """What may follow a context, in text, in recordings, or both."""

    context: Text | None = None
    context_audio: Text | None = None
    options: list[Text] | None = None
    options_audio: list[Text] | None = None
    right: Text
    """The label of the right one."""


class CodecFields(_Fields):
    """A recording, what it says, and a prompt of the voice that it is said again in.

    What has no recording is read aloud by the suite's speakers, both by the same voice.
    """

    text: Text
    audio: Text | None = None
    prompt_text: Text
    prompt_audio: Text | None = None


class _Suite(Params):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    licence: Text
    language: str = Field(pattern=r"^[a-z]{2}$")
    """ISO 639-1; zh and ja are judged by characters, all others by words."""
    table: Table
    resamples: int = Field(default=1000, ge=100, le=100_000)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    speakers: list[Speaker] = Field(default_factory=list)


class _Asked(_Suite):
    routes: Routes
    system: System = Field(default_factory=dict)
    """System turn by the answer's modality; default: the published ones."""
    decoding: Generation = GREEDY
    recogniser: Text = "whisper-base"
    """Who writes down what was said."""


class QaSuite(_Asked):
    """Questions whose answer is right if it holds one of those that count."""

    kind: Literal["qa"]
    match: Literal["words", "phrase"] = "words"
    """All words of an answer occur, or they stand side by side."""
    item: QaFields


class InstructionSuite(_Asked):
    """Instructions whose fulfilment is verified by rule."""

    kind: Literal["instructions"]
    item: InstructionFields


class ChoiceSuite(_Suite):
    """Which of some continuations the model finds most likely."""

    kind: Literal["choice"]
    routes: Routes
    labels: Labels
    """Names of the options, in their order."""
    counts: Literal["sum", "mean"]
    """Log-probability of an option as a whole, or a row (token or code)."""
    form: Literal["plain", "chat"] = "plain"
    """Raw text or speech as in pre-training, or a turn that the assistant answers."""
    joint: str = " "
    """Between a context in text and an option in text; empty where a language has no spaces."""
    preamble: str = ""
    """Text before every context in text, such as solved examples."""
    system: System = Field(default_factory=dict)
    item: ChoiceFields


class CodecSuite(_Suite):
    """Recordings through codec and decoder alone."""

    kind: Literal["codec"]
    recogniser: Text = "whisper-base"
    item: CodecFields


class LatencySuite(_Suite):
    """How soon and how fast spoken answers come, asked one by one."""

    kind: Literal["latency"]
    decoding: Generation = GREEDY
    item: Question


Suite = QaSuite | InstructionSuite | ChoiceSuite | CodecSuite | LatencySuite
SUITES: dict[str, type[Suite]] = {
    "qa": QaSuite,
    "instructions": InstructionSuite,
    "choice": ChoiceSuite,
    "codec": CodecSuite,
    "latency": LatencySuite,
}
