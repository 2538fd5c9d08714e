"""Numbers of the bundle stage: the assistant's voice and how answers are drawn by default."""

from pydantic import Field

from moss_speech.params.base import Params, StageParams


class Generation(Params):
    """How an answer is drawn when a request does not say; limits as in `lm.sampling`."""

    temperature: float = Field(ge=0, le=2)
    """0 takes the most likely row each time."""
    top_k: int = Field(ge=0)
    """0 keeps all."""
    top_p: float = Field(gt=0, le=1)
    repetition_penalty: float = Field(ge=0.1, le=10)
    min_rows: int = Field(ge=0)
    max_rows: int = Field(ge=1)
    """Longest answer; a row of speech is 80 ms."""


class BundleParams(StageParams):
    """Section bundle."""

    voice: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Name of the assistant's voice."""
    prompt_s: float = Field(ge=1, le=30)
    """The voice prompt is the training answer whose length is nearest to this."""
    licence: str = Field(min_length=1)
    """Licence of the model's own weights, by its SPDX name where it has one."""
    normalise_text: bool
    """Typed turns are brought to spoken form first: lower case, words only, digits spelt out."""
    generation: Generation
