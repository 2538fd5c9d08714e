"""Params of the stage corpus."""

from typing import Literal

from pydantic import Field, model_validator

from moss_speech.params.base import Params, Range, StageParams
from moss_speech.params.sources import AnySource, SplitShares
from moss_speech.params.synthesis import Synthesis

Category = Literal["color", "animal", "next", "count", "opposite"]
OURS = ("embedded", "human")
"""Names of sources that the platform makes itself."""


class QuestionCounts(Params):
    """Clips of questions; a pair of splits is (voice, wording)."""

    train: int = Field(ge=1, le=100)
    """Training voices that ask each training wording of each fact."""
    dev_voice: int = Field(ge=0, le=100)
    """Dev voices, a fact: training wordings."""
    dev_wording: int = Field(ge=0, le=100)
    """Training voices, a dev wording."""
    dev_both: int = Field(ge=0, le=100)
    """Dev voices, a dev wording."""
    test_voice: int = Field(ge=0, le=100)
    """Test voices, a fact: training wordings."""
    test_wording: int = Field(ge=0, le=100)
    """Training voices, a test wording."""
    test_both: int = Field(ge=0, le=100)
    """Test voices, a test wording."""
    unseen_synthesizer: int = Field(ge=0, le=1000)
    """Test wordings in all by the synthesiser that training never hears."""


class AssistantCounts(Params):
    """Clips of the one assistant voice."""

    renditions: int = Field(ge=1, le=100)
    """Of each answer, for training."""
    held_out_renditions: int = Field(ge=0, le=20)
    """Of each answer, for dev and for test."""
    wordings_read: int = Field(ge=0, le=7)
    """Training wordings of each fact that the assistant voice reads once."""
    rate_range: Range
    variety: float = Field(ge=0, le=2)
    """How much renditions differ, relative to the voice's own; an even reader is learnt faster."""


class StringCounts(Params):
    """Random word strings: dictation (salad) and "repeat after me"."""

    salad_train: int = Field(ge=0, le=100_000)
    salad_dev: int = Field(ge=0, le=10_000)
    salad_test: int = Field(ge=0, le=10_000)
    salad_domain_share: float = Field(ge=0, le=1)
    """Share of salad words that the facts also use."""
    repeat_train: int = Field(ge=0, le=10_000)
    repeat_dev: int = Field(ge=0, le=1_000)
    repeat_test: int = Field(ge=0, le=1_000)
    repeat_voices: int = Field(ge=1, le=100)
    """User voices a string to repeat."""


class Surroundings(Params):
    """How the users' clips vary."""

    rate_range: Range
    """Speaking rate relative to the voice's own."""
    pitch_range: Range
    throat_range: Range
    """Length of the throat of flite's training voices: few voices, so heard in many sizes."""
    level_range_db: Range
    """Loudness of the speech, RMS in dB of full scale."""
    noise_share: float = Field(ge=0, le=1)
    """Share of clips with background noise."""
    snr_range_db: Range
    pause_range_s: Range
    """Silence (or noise alone) before and after the speech."""


class Embedded(Params):
    """The synthesised domain."""

    categories: list[Category] = Field(min_length=1)
    questions: QuestionCounts
    assistant: AssistantCounts
    strings: StringCounts
    surroundings: Surroundings
    flawed_each: int = Field(ge=0, le=100)
    """Deliberately broken items of each kind, for the cleaning to catch."""


class Corpus(StageParams):
    """The stage corpus: what it is made of."""

    embedded: Embedded | None
    human_test: bool
    """Real human clips of the apt package pocketsphinx-testdata, if installed; never training."""
    split_shares: SplitShares
    """Of sources that are split by speaker."""
    sources: list[AnySource]

    synthesised: list[Synthesis]
    """Texts and text dialogues that are read by synthesisers."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Corpus":
        names = [source.name for source in (*self.sources, *self.synthesised)]
        if twice := next((n for n in names if names.count(n) > 1 or n in OURS), None):
            raise ValueError(f"the name {twice!r} is taken, must differ from the others and {OURS}")
        return self
