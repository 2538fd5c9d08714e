"""Rows of Lhotse manifests as far as they are used; what stands there besides is passed over."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from moss_speech.params.base import Params


class _Foreign(Params):
    model_config = ConfigDict(extra="ignore", strict=False, frozen=True, allow_inf_nan=False)


class AudioSource(_Foreign):
    """Where the audio of a recording is."""

    type: str
    channels: list[int] = Field(min_length=1)
    source: str


class Recording(_Foreign):
    """A recording."""

    id: str = Field(min_length=1)
    sources: list[AudioSource]
    duration: float = Field(gt=0)
    transforms: list[object] | None = None


def _one(channel: object) -> object:
    return channel[0] if isinstance(channel, list) and len(channel) == 1 else channel


Channel = Annotated[int, BeforeValidator(_one), Field(ge=0)]


class Supervision(_Foreign):
    """What is said where in a recording, or in a cut."""

    id: str = Field(min_length=1)
    recording_id: str
    start: float
    duration: float = Field(gt=0)
    channel: Channel = 0
    text: str | None = None
    language: str | None = None
    speaker: str | None = None


class Cut(_Foreign):
    """A part of a recording with what is said in it."""

    id: str = Field(min_length=1)
    type: str = "MonoCut"
    start: float = Field(ge=0)
    duration: float = Field(gt=0)
    channel: Channel = 0
    supervisions: list[Supervision] = Field(default_factory=list)
    recording: Recording | None = None
