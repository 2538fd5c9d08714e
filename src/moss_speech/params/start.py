"""Section `start` of params.yaml: the model that training goes on from."""

from pydantic import Field

from moss_speech.params.base import StageParams


class StartParams(StageParams):
    """Stage start."""

    model: str | None = Field(min_length=1)
    """A registry address such as models:/moss-speech@champion, or a bundle folder; null starts from
    nothing. Its parts then lie in models/start, for the stages that begin with one."""
