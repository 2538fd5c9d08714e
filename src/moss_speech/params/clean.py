"""Params of the stage clean: what a kept utterance must be like."""

from pydantic import Field

from moss_speech.params.base import Range, StageParams


class Clean(StageParams):
    """The stage clean."""

    sample: int | None = Field(ge=0)
    """Items, spread over the voices, that recogniser and quality graph hear; null: all."""
    duration_s: Range
    min_speech_s: float = Field(ge=0, le=10)
    """Least speech that voice activity detection must find."""
    loudness_lufs: Range
    clip_level: float = Field(gt=0, le=1)
    max_clipped_share: float = Field(ge=0, le=1)
    """Share of samples at or above `clip_level`."""
    letters_per_s: Range
    """Outside it the transcript is doubted: the recogniser hears the item."""
    duplicate_distance: float = Field(ge=0, le=0.5)
    """Audio fingerprints of equal texts that differ in fewer bits are duplicates."""
    max_letter_error: float = Field(gt=0, le=1)
    """Edit distance of transcript and what the recogniser hears, as a part of the longer one."""
    min_quality: float = Field(ge=1, le=5)
    """Overall opinion score of DNSMOS."""
    max_reject_share: float = Field(gt=0, le=1)
    """Above it the stage fails: the corpus, not an item, is broken."""
