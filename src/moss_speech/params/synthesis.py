"""Params of speech that is made from texts and text dialogues."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from moss_speech.params.base import Params, Range

RecogniserName = Literal["whisper-base", "whisper-tiny.en"]


class Voices(Params):
    """Voices of one synthesiser."""

    synthesizer: str = Field(pattern=r"^(espeak-ng|flite|piper|kokoro|https?://\S+)$")
    """A packaged one, or the address of a service that speaks: http://HOST:PORT/v1/audio/speech."""
    names: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)


class Rules(Params):
    """Make text speakable by rule: Markdown, numbers, simple maths, small tables, links."""

    kind: Literal["rules"]


class LanguageModel(Params):
    """Have a language model make text speakable, by OpenAI's chat completions; then the rules."""

    kind: Literal["llm"]
    url: str = Field(pattern=r"^https?://\S+$")
    """Such as http://HOST:PORT/v1/chat/completions; its key is the setting MOSS_ENDPOINT_KEY."""
    model: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    """System text; an answer of the single word DROP leaves the dialogue out."""
    timeout_s: float = Field(gt=0, le=600)
    tries: int = Field(ge=1, le=10)
    parallel: int = Field(ge=1, le=256)
    """Dialogues that are rewritten at a time; the result does not depend on it."""


class Synthesised(Params):
    """What every source of synthesised speech has."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    """Of the source; begins the ids."""
    path: str
    """A file from the project root: .txt, .jsonl or .json."""
    licence: str = Field(min_length=1)
    consent: str = Field(min_length=1)
    language: str = Field(pattern=r"^[a-z]{2,3}$")
    max_items: int = Field(ge=1)
    """Most texts or dialogues to take, from the beginning."""
    voices: list[Voices] = Field(min_length=1)
    """Who reads; of dialogues, the users."""
    rate_range: Range
    """Speaking rate relative to the voice's own."""
    recogniser: RecogniserName
    max_word_error: float = Field(ge=0)
    """What the recogniser mishears by so much or more is dropped."""


class Texts(Synthesised):
    """Plain text: passages in which some sentences are spoken."""

    kind: Literal["texts"]
    text_column: str
    """Of .jsonl and .json rows."""
    quality_column: str | None
    """Null: rows have none."""
    min_quality: float
    spoken_share: float = Field(ge=0, le=1)
    """Share of the sentences that are spoken."""
    passage_words: int = Field(ge=1)
    """Most words of a passage; a longer text becomes several."""


class Instructions(Synthesised):
    """Text dialogues: OpenAI's messages, Alpaca or ShareGPT rows."""

    kind: Literal["instructions"]
    assistant: Voices
    """The one voice that answers: exactly one name."""
    rewrite: Rules | LanguageModel = Field(discriminator="kind")
    normalise_text: bool
    """True: typed turns are lower-case words, as the embedded source's; False: as they are read."""
    max_exchanges: int = Field(ge=1)
    """Later exchanges are left out."""
    max_words: int = Field(ge=1)
    """Most words of a turn: longer answers are cut at a sentence's end, longer
    questions dropped."""

    @model_validator(mode="after")
    def _answers_with_one_voice(self) -> Self:
        if (n_names := len(self.assistant.names)) != 1:
            raise ValueError(f"assistant has {n_names} voices, must have 1")
        return self


Synthesis = Annotated[Texts | Instructions, Field(discriminator="kind")]
