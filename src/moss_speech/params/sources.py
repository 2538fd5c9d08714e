"""Sources of a corpus in params.yaml: one strict class a kind; what all declare is in one place."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from moss_speech.params.base import Params

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Words = Annotated[str, Field(min_length=1, max_length=1000)]
Split = Literal["train", "dev", "test", "auto"]


class SplitShares(Params):
    """How many of the speakers go where, for sources that are split by speaker."""

    train: float = Field(ge=0, le=1)
    dev: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> "SplitShares":
        if abs((total := self.train + self.dev + self.test) - 1) > 1e-6:
            raise ValueError(f"shares add up to {total:g}, must add up to 1")
        return self


class Declared(Params):
    """What every source says; licence and consent travel to the model's card."""

    name: Name
    """First part of its utterances' ids."""
    path: str = Field(min_length=1)
    """Absolute, or relative to the project root."""
    licence: Words | None = None
    consent: Words | None = None
    """Who agreed to what, such as `speaker agreed to training on 2026-03-01`."""
    undeclared: bool = False
    """Taken although licence or consent is not known; the model's card and gates see it."""
    redistribute: bool = False
    language: str = Field(default="", pattern=r"^([a-z]{2,3})?$")
    """ISO 639 code of what does not name its own; empty: unknown."""
    split: Split = "auto"
    """`auto`: the source's own splits; by speaker where it has none."""
    transcripts: Literal["given", "missing", "none"] | None = None
    """`missing`: cleaning writes all down; `none`: speech without words; None: what is there."""
    imported: bool = Field(default=False, alias="import")
    """Copy the audio into the corpus: one channel, 24 kHz, FLAC, pauses at both ends cut."""

    @model_validator(mode="after")
    def _declares(self) -> "Declared":
        missing = [name for name in ("licence", "consent") if getattr(self, name) is None]
        if missing and not self.undeclared:
            raise ValueError(
                f"source {self.name!r} declares no {' and no '.join(missing)}, must say both, "
                "or `undeclared: true`"
            )
        return self


class Folder(Declared):
    """A folder of recordings; exactly one of the three ways to know who speaks."""

    kind: Literal["folder"]
    speaker: Words | None = None
    speaker_folder: int | None = Field(default=None, ge=1, le=9)
    """The speaker is the name of the n-th folder below `path`."""
    speaker_column: Words | None = None
    """The speaker stands in this column of metadata.csv or metadata.jsonl."""

    @model_validator(mode="after")
    def _one_way(self) -> "Folder":
        ways = [w for w in ("speaker", "speaker_folder", "speaker_column") if getattr(self, w)]
        if len(ways) != 1:
            raise ValueError(
                f"source {self.name!r} names its speaker by {', '.join(ways) or 'nothing'}, must "
                "use one of speaker, speaker_folder, speaker_column"
            )
        return self


class LibriSpeech(Declared):
    """LibriSpeech as it is unpacked: SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt."""

    kind: Literal["librispeech"]
    subsets: list[Words] | None = None
    """Such as train-clean-100; None: all that are there."""


class Aishell1(Declared):
    """AISHELL-1 as it is unpacked: wav/SPLIT/SPEAKER/ID.wav and the transcript."""

    kind: Literal["aishell1"]


class CommonVoice(Declared):
    """A language of Common Voice as it is unpacked: tables beside clips/."""

    kind: Literal["common_voice"]


class Lhotse(Declared):
    """A folder of Lhotse manifests: recordings and supervisions, or cuts."""

    kind: Literal["lhotse"]
    speaker: Words | None = None
    """Of what names none."""


class Shar(Declared):
    """A folder of Lhotse Shar: cuts.*.jsonl.gz and recording.*.tar."""

    kind: Literal["shar"]
    speaker: Words | None = None


class Tar(Declared):
    """A tar file or a folder of them: KEY.flac with KEY.txt or KEY.json."""

    kind: Literal["tar"]
    speaker: Words | None = None


class HuggingFace(Declared):
    """An audio folder with metadata, or a data set saved as Parquet or Arrow."""

    kind: Literal["huggingface"]
    speaker: Words | None = None
    audio_column: Words | None = None
    text_column: Words | None = None
    speaker_column: Words | None = None


class Dialogues(Declared):
    """A JSONL file of dialogues in text, recordings beside it, or both."""

    kind: Literal["dialogues"]
    speaker: Words
    """The user, where a turn names no speaker."""
    assistant: Words
    """The assistant, where a turn names no speaker."""


AnySource = Annotated[
    Folder | LibriSpeech | Aishell1 | CommonVoice | Lhotse | Shar | Tar | HuggingFace | Dialogues,
    Field(discriminator="kind"),
]


class OneSource(Params):
    """A source on its own."""

    source: AnySource
