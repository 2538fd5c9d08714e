"""Section `evaluate` of params.yaml."""

from pydantic import Field

from moss_speech.params.base import Params, StageParams


class ItemCounts(Params):
    """The most items that each kind of test takes; fewer where the corpus has fewer."""

    hardest: int = Field(ge=1)
    """`s2s` and `s2t`: voice and wording both unseen, the same questions in both."""
    cell: int = Field(ge=1)
    """Every other cell of questions."""
    repeat: int = Field(ge=0)
    """Word strings to say again, to read aloud, and to take down; so many of each."""
    renditions: int = Field(ge=1)
    """True held-out renditions of answers: ceiling and resynthesis."""
    human: int = Field(ge=0)
    """Recordings of people to take down."""
    tokenizer: int = Field(ge=1)
    """Utterances a row of the tokenizer's word-error table."""
    codec: int = Field(ge=1)
    """Renditions, and recordings of people, that go through codec and decoder alone."""


class PageParams(Params):
    """What the HTML page holds besides figures."""

    failures: int = Field(ge=0)
    """Failed items with players, hardest cell first."""
    successes: int = Field(ge=0)
    """Right items with players."""
    spectrograms: int = Field(ge=0)
    max_bytes: int = Field(ge=0, le=15_000_000)
    """Players stop being added when the sound alone would outgrow this."""


class Evaluate(StageParams):
    """Stage evaluate: how many items, how they are answered, how figures get their intervals."""

    items: ItemCounts
    max_rows: int = Field(ge=1)
    """Longest answer in grid rows: tokens or codes."""
    resamples: int = Field(ge=100)
    """Bootstrap resamples of an interval."""
    confidence: float = Field(gt=0.5, lt=1)
    goals: dict[str, float]
    """Figures to beat, by the name of the figure; shown, not enforced (that is what gates do)."""
    timed: int = Field(ge=0)
    """Questions answered one by one for the latency figures."""
    page: PageParams
