"""Params of the stage clean: what a kept utterance must be like."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from moss_speech.params.base import Range, StageParams

RecogniserName = Literal["whisper-tiny.en", "whisper-base", "sphinx"]


def _different(names: list[RecogniserName]) -> list[RecogniserName]:
    if len(set(names)) < len(names):
        raise ValueError("must name different recognisers")
    return names


class Clean(StageParams):
    """The stage clean."""

    sample: int | None = Field(ge=0)
    """Items, spread over the voices, that recogniser and quality graph hear; null: all."""
    min_sample_rate_hz: int = Field(ge=4000, le=192_000)
    channels: Literal["named", "mono"]
    """Of recordings with several channels the one that the manifest names, or they are rejected."""
    duration_s: Range
    """Longer ones are cut at pauses, with given words where a recogniser hears them there."""
    min_speech_s: float = Field(ge=0, le=10)
    """Least speech that voice activity detection must find."""
    loudness_lufs: Range
    clip_level: float = Field(gt=0, le=1)
    max_clipped_share: float = Field(ge=0, le=1)
    """Share of samples at or above `clip_level`."""
    letters_per_s: Range
    """Outside it the transcript is doubted: the recogniser hears the item."""
    duplicate_distance: float = Field(ge=0, le=0.1)
    """Audio fingerprints that differ in fewer bits are duplicates, whatever their words."""
    recognisers: Annotated[
        list[RecogniserName], Field(min_length=1, max_length=2), AfterValidator(_different)
    ]
    """The first hears, and writes down what has no transcript; a second one must agree with it."""
    max_letter_error: float = Field(gt=0, le=1)
    """Edit distance of transcript and what the recogniser hears, as a part of the longer one."""
    max_recogniser_error: float = Field(gt=0, le=1)
    """The same of what two recognisers wrote down, and of a cut piece's part of given words."""
    max_other_language: float | None = Field(gt=0, le=1)
    """Probability of another language than the declared one; null: languages are not judged."""
    min_quality: float = Field(ge=1, le=5)
    """Overall opinion score of DNSMOS."""
    max_same_text: int | None = Field(ge=1)
    """Items of a speaker of a source with equal words; null: any number."""
    near_text: float = Field(ge=0, le=0.3)
    """Texts that differ in at most this share of their words may not lie in two splits."""
    personal_data: Literal["keep", "reject"]
    """What becomes of texts with addresses, numbers of phones, cards or accounts."""
    max_reject_share: float = Field(gt=0, le=1)
    """Above it the stage fails: the corpus, not an item, is broken."""
