"""Numbers of the stage encode_corpus."""

from pydantic import Field

from moss_speech.params.base import StageParams


class EncodeCorpus(StageParams):
    """Turning every kept utterance into codes."""

    shard_items: int = Field(ge=1)
    """Utterances between two points from which a killed run goes on."""
