"""Numbers of the stage align."""

from pydantic import Field

from moss_speech.params.base import StageParams


class Align(StageParams):
    """Finding the borders of words in codes."""

    min_score: float = Field(le=0)
    """Mean log-probability of a character below which an alignment is left out."""
