"""The settings of a session as they take effect, and what a client may change of them."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from moss_speech.inference.turns import Detection, Output
from services.errors import invalid
from services.realtime.audio import FORMATS, WireFormat
from services.realtime.wishes import Format, ResponseWish, SessionWish, Sound, TurnDetection
from services.served import ModelInfo
from services.voices import own_voice


@dataclass(frozen=True)
class Vad:
    """How the server finds turns, and what it does about them."""

    detection: Detection
    create_response: bool
    interrupt_response: bool
    idle_timeout_ms: int | None

    @property
    def wire(self) -> dict[str, Any]:
        """As events name it."""
        return {
            "type": "server_vad",
            "threshold": self.detection.threshold,
            "prefix_padding_ms": self.detection.prefix_padding_ms,
            "silence_duration_ms": self.detection.silence_duration_ms,
            "create_response": self.create_response,
            "interrupt_response": self.interrupt_response,
            "idle_timeout_ms": self.idle_timeout_ms,
        }


USUAL_VAD = Vad(Detection(), create_response=True, interrupt_response=True, idle_timeout_ms=None)


@dataclass(frozen=True)
class Answering:
    """How answers are made."""

    output: Output
    instructions: str
    voice: str
    speaks: WireFormat
    max_rows: int | None
    """None: as many as the model makes."""
    tool_choice: str = "auto"


@dataclass(frozen=True)
class Config:
    """Everything that `session.updated` tells, and whether transcripts are waited for."""

    models: tuple[str, ...]
    """Names of the model; the first is told."""
    answering: Answering
    hears: WireFormat = FORMATS["audio/pcm"]
    vad: Vad | None = USUAL_VAD
    truncation: Literal["auto", "disabled"] = "auto"
    transcripts_awaited: bool = False

    @property
    def wire(self) -> dict[str, Any]:
        """The session of `session.created` and `session.updated`."""
        answering = self.answering
        return {
            "type": "realtime",
            "model": self.models[0],
            "output_modalities": [answering.output],
            "instructions": answering.instructions,
            "max_output_tokens": answering.max_rows or "inf",
            "audio": {
                "input": {
                    "format": self.hears.wire,
                    "turn_detection": self.vad.wire if self.vad else None,
                    "transcription": None,
                    "noise_reduction": None,
                },
                "output": {"format": answering.speaks.wire, "voice": answering.voice, "speed": 1.0},
            },
            "tools": [],
            "tool_choice": answering.tool_choice,
            "truncation": self.truncation,
            "tracing": None,
            "prompt": None,
            "include": None,
        }


def first_config(model: ModelInfo, voices: tuple[str, ...]) -> Config:
    """The settings of a session that nobody changed."""
    names = (model.name, f"{model.name}:{model.version}")
    return Config(names, Answering("audio", "", voices[0], FORMATS["audio/pcm"], None))


def _format(now: WireFormat, wish: Format | None) -> WireFormat:
    return now if wish is None else FORMATS[wish.type]


def _voice(now: str, sound: Sound, voices: tuple[str, ...], where: str) -> str:
    if sound.voice is None:
        return now
    if (voice := own_voice(sound.voice, voices)) in voices:
        return voice
    reason = f"{where}.voice is unknown, must be one of {', '.join(voices)}"
    raise invalid(reason, f"{where}.voice", "unknown_voice")


def _vad(now: Vad | None, wish: TurnDetection | None) -> Vad | None:
    if wish is None:
        return None
    given = wish.model_dump(include=wish.model_fields_set)
    before = USUAL_VAD if now is None else now
    known = {key: given[key] for key in Vad.__dataclass_fields__ if key in given}
    found = {key: given[key] for key in Detection.__dataclass_fields__ if key in given}
    return replace(before, detection=replace(before.detection, **found), **known)


def answering_with(
    now: Answering, wish: SessionWish | ResponseWish, voices: tuple[str, ...], where: str
) -> Answering:
    """`now` with what a session's or an answer's wish changes; `ApiError` for a foreign voice."""
    given, sound = wish.model_fields_set, wish.audio.output
    return Answering(
        output=wish.output_modalities[0] if wish.output_modalities else now.output,
        instructions=wish.instructions if wish.instructions is not None else now.instructions,
        voice=_voice(now.voice, sound, voices, f"{where}.audio.output"),
        speaks=_format(now.speaks, sound.format),
        max_rows=wish.max_output_tokens if "max_output_tokens" in given else now.max_rows,
        tool_choice=wish.tool_choice or now.tool_choice,
    )


def updated(now: Config, wish: SessionWish, voices: tuple[str, ...], *, spoke: bool) -> Config:
    """The settings after a `session.update`; `ApiError` changes nothing.

    `spoke`: an answer was heard already, so the voice stays.
    """
    if wish.model not in (None, *now.models):
        reason = f"session.model is not served here; it is {' or '.join(now.models)}"
        raise invalid(reason, "session.model", "model_not_found")
    heard, given = wish.audio.input, wish.audio.input.model_fields_set
    answering = answering_with(now.answering, wish, voices, "session")
    if spoke and answering.voice != now.answering.voice:
        reason = "the voice cannot be changed once the conversation holds a spoken answer"
        raise invalid(reason, "session.audio.output.voice", "cannot_update_voice")
    awaited = heard.transcription is not None
    truncation = wish.truncation or now.truncation
    return replace(
        now,
        answering=answering,
        hears=_format(now.hears, heard.format),
        vad=_vad(now.vad, heard.turn_detection) if "turn_detection" in given else now.vad,
        truncation="disabled" if truncation == "disabled" else "auto",
        transcripts_awaited=awaited if "transcription" in given else now.transcripts_awaited,
    )
