"""The turns of a chat request: its texts, its recordings, and answers that it refers to."""

import io
from collections.abc import Mapping

from moss_speech.inference.engine import Engine
from moss_speech.inference.questions import read_question
from moss_speech.inference.turns import QuestionError, Turn
from moss_speech.lm.grid import SYSTEM
from services.answers import Answers
from services.errors import invalid, refused_question
from services.protocol import AssistantMessage, AudioPart, ChatRequest, Message, TextPart

Codes = tuple[int, ...]


def _text(content: str | list[TextPart], where: str) -> str:
    text = content if isinstance(content, str) else " ".join(part.text for part in content)
    if not text.strip():
        raise invalid(f"{where} holds no text, must hold at least one word", where, "empty_text")
    return text


def _assistant_turn(message: AssistantMessage, said: Mapping[str, Codes], where: str) -> Turn:
    if message.audio is None:
        return Turn("assistant", text=_text(message.content or "", f"{where}.content"))
    return Turn("assistant", codes=said[message.audio.id])


def _user_turn(content: str | list[TextPart | AudioPart], engine: Engine, where: str) -> Turn:
    recordings = [] if isinstance(content, str) else [p for p in content if p.type != "text"]
    if not recordings or isinstance(content, str):
        texts = content if isinstance(content, str) else [p for p in content if p.type == "text"]
        return Turn("user", text=_text(texts, where))
    if len(content) > 1:
        reason = f"{where} holds {len(content)} parts; a turn is one recording, or text"
        raise invalid(reason, where, "mixed_content")
    try:
        samples = read_question(io.BytesIO(recordings[0].input_audio.data), engine.limits)
    except QuestionError as error:
        raise refused_question(error, f"{where}[0].input_audio.data") from error
    return Turn("user", audio=samples, sample_rate_hz=engine.listening_rate_hz)


def conversation(request: ChatRequest, engine: Engine, said: Mapping[str, Codes]) -> list[Turn]:
    """The turns of a request; `said` are answers by id.

    Raises `ApiError` naming the message that cannot be used.
    """

    def turn(message: Message, where: str) -> Turn:
        if message.role == "user":
            return _user_turn(message.content, engine, f"{where}.content")
        if message.role == "assistant":
            return _assistant_turn(message, said, where)
        return Turn("system", text=_text(message.content, f"{where}.content"))

    if (last := request.messages[-1].role) != "user":
        raise invalid(f"the last message is from {last}, must be from user", "messages")
    turns = [turn(m, f"messages[{i}]") for i, m in enumerate(request.messages)]
    if instructions := [t.text for t in turns if t.role == "system" and t.text]:
        usual = SYSTEM[request.output]
        opening = Turn("system", text=" ".join([usual, *instructions]))
        return [opening, *(t for t in turns if t.role != "system")]
    return turns


async def said_before(request: ChatRequest, stored: Answers, codec_digest: str) -> dict[str, Codes]:
    """Codes of every answer that the request refers to; they must be those of this codec."""
    said: dict[str, Codes] = {}
    for i, message in enumerate(request.messages):
        if message.role != "assistant" or message.audio is None:
            continue
        if (found := await stored.find(message.audio.id, codec_digest)) is None:
            where = f"messages[{i}].audio.id"
            reason = f"{where} is unknown or has expired; send the answer's text instead"
            raise invalid(reason, where, "audio_not_found")
        said[found.id] = found.codes
    return said
