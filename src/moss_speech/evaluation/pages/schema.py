"""What a page needs of a saved report.json; other keys are left alone."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError


class _Saved(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class SavedFigure(_Saved):
    """A figure with its interval and number of items."""

    value: FiniteFloat
    ci95: tuple[FiniteFloat, FiniteFloat]
    n: int = Field(ge=1)
    whisper: FiniteFloat | None = None
    sphinx: FiniteFloat | None = None
    codes: FiniteFloat | None = None
    chance: FiniteFloat | None = None


class _Text(_Saved):
    before: SavedFigure
    after: SavedFigure
    items_below: int
    items_above: int


class _Tokenizer(_Saved):
    word_error: dict[str, SavedFigure]
    codes_used: FiniteFloat
    n_codes: int
    perplexity: FiniteFloat


class _Role(_Saved):
    role: str
    clips: int
    seconds: FiniteFloat
    voices: int
    train: int
    dev: int
    test: int


class _Reject(_Saved):
    id: str
    reason: str
    value: str
    allowed: str
    flaw: str | None = None


class _Rejects(_Saved):
    rows: list[_Reject]
    reasons: dict[str, int]
    deliberate: int
    deliberate_caught: int


class _Corpus(_Saved):
    composition: list[_Role]
    rejects: _Rejects


class _Codec(_Saved):
    rates: dict[str, FiniteFloat]
    heard: dict[str, dict[str, dict[str, dict[str, SavedFigure]]]]


class _Method(_Saved):
    bundle: str
    seed: int
    decoding: str
    resamples: int = Field(ge=1, le=1_000_000)
    confidence: float = Field(gt=0, lt=1)
    goals: dict[str, FiniteFloat]
    judges: dict[str, str]


class SavedReport(_Saved):
    """report.json of the project's own evaluation."""

    format_version: Literal[1, 2]
    accuracy: dict[str, SavedFigure]
    word_error: dict[str, SavedFigure]
    answers: list[str]
    method: _Method
    text: _Text | None = None
    speech_gap: SavedFigure | None = None
    tokenizer: _Tokenizer | None = None
    codec: _Codec | None = None
    corpus: _Corpus | None = None


class _About(_Saved):
    name: str
    kind: Literal["qa", "instructions", "choice"]
    """Those whose items are right or wrong."""
    resamples: int = Field(ge=1, le=1_000_000)
    confidence: float = Field(gt=0, lt=1)


class _Cell(_Saved):
    accuracy: SavedFigure
    chance: FiniteFloat | None = None


class _Model(_Saved):
    address: str
    digest: str


class _LeftOut(_Saved):
    id: str
    reason: str


class SavedSuite(_Saved):
    """report.json of an outside suite, as `moss-speech evaluate --suite` writes it."""

    format_version: Literal[1]
    suite: _About
    suite_digest: str
    model: _Model
    seed: int
    n_items: int
    prompts: dict[str, str]
    normalisation: str
    recogniser: dict[str, Any] | None
    cells: dict[str, _Cell]
    left_out: list[_LeftOut]
    speech_gap: SavedFigure | None = None


def first_flaw(error: ValidationError) -> str:
    """Where the first wrong value is, what it is, what is allowed."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    shown = "" if first["type"] == "missing" else f" is {first['input']!r:.80}"
    return f"{place}{shown}: {first['msg']}"
