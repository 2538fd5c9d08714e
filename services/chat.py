"""POST /v1/chat/completions: speech or text in, speech or text out, whole or streamed."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import ValidationError

from moss_speech.inference.engine import Engine
from moss_speech.inference.questions import read_question
from moss_speech.inference.turns import (
    AudioDelta,
    Event,
    Finished,
    Heard,
    QuestionError,
    Refused,
    TextDelta,
    Turn,
)
from moss_speech.lm.grid import SYSTEM
from services.answers import Answers, StoredAnswer
from services.errors import ApiError, invalid, refused_fields, refused_question
from services.protocol import AssistantMessage, AudioPart, ChatRequest, Message, TextPart
from services.replies import Completion
from services.runtime import Runtime
from services.talk import Talk

router = APIRouter()
Spoken = Mapping[str, StoredAnswer | None]


def _text(content: str | list[TextPart], where: str) -> str:
    text = content if isinstance(content, str) else " ".join(part.text for part in content)
    if not text.strip():
        raise invalid(f"{where} holds no text, must hold at least one word", where, "empty_text")
    return text


async def _spoken_before(request: ChatRequest, answers: Answers) -> Spoken:
    """The answers that a conversation refers to, by id."""
    said = [m.audio.id for m in request.messages if m.role == "assistant" and m.audio is not None]
    return {answer_id: await answers.find(answer_id) for answer_id in said}


def _assistant_turn(message: AssistantMessage, spoken: Spoken, where: str) -> Turn:
    if message.audio is None:
        return Turn("assistant", text=_text(message.content or "", f"{where}.content"))
    if (stored := spoken[message.audio.id]) is None:
        reason = f"{where}.audio.id is unknown or has expired; send the answer's text instead"
        raise invalid(reason, f"{where}.audio.id", "audio_not_found")
    return Turn("assistant", codes=stored.codes)


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
        raise invalid(str(error), f"{where}[0].input_audio.data", error.code) from error
    return Turn("user", audio=samples, sample_rate_hz=engine.listening_rate_hz)


def conversation(request: ChatRequest, spoken: Spoken, runtime: Runtime) -> list[Turn]:
    """The turns of a request; raises `ApiError` naming the message that cannot be used."""

    def turn(message: Message, where: str) -> Turn:
        if message.role == "user":
            return _user_turn(message.content, runtime.engine, f"{where}.content")
        if message.role == "assistant":
            return _assistant_turn(message, spoken, where)
        return Turn("system", text=_text(message.content, f"{where}.content"))

    if (last := request.messages[-1].role) != "user":
        raise invalid(f"the last message is from {last}, must be from user", "messages")
    turns = [turn(m, f"messages[{i}]") for i, m in enumerate(request.messages)]
    if instructions := [t.text for t in turns if t.role == "system" and t.text]:
        usual = SYSTEM["audio" if request.spoken else "text"]
        opening = Turn("system", text=" ".join([usual, *instructions]))
        return [opening, *(t for t in turns if t.role != "system")]
    return turns


def _check_names(request: ChatRequest, runtime: Runtime) -> None:
    names = (runtime.model.name, f"{runtime.model.name}:{runtime.model.version}")
    if request.model not in names:
        reason = f"the model {request.model!r} does not exist here; it is {' or '.join(names)}"
        raise ApiError(404, reason, code="model_not_found", param="model")
    voices = runtime.engine.voices
    if request.audio is not None and request.audio.voice not in voices:
        reason = f"audio.voice is {request.audio.voice!r}, must be one of {', '.join(voices)}"
        raise invalid(reason, "audio.voice")


def _read(body: bytes, runtime: Runtime) -> ChatRequest:
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise refused_fields(error) from None
    _check_names(request, runtime)
    return request


async def _events(request: ChatRequest, turns: list[Turn], talk: Talk) -> AsyncIterator[Event]:
    """The answer of a conversation whose spoken turns are heard first."""
    try:
        heard = [await _heard(turn, talk) for turn in turns]
        wish = talk.wish(
            "audio" if request.spoken else "text",
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            max_rows=request.max_rows,
            voice=request.audio.voice if request.spoken and request.audio else None,
            live=request.stream,
        )
        talk.respond(heard, wish)
        while True:
            event = await talk.next()
            if isinstance(event, Refused):
                raise QuestionError(event.code, event.message)
            assert isinstance(event, TextDelta | AudioDelta | Finished)
            yield event
            if isinstance(event, Finished):
                return
    finally:
        talk.close()


async def _heard(turn: Turn, talk: Talk) -> Turn:
    if turn.audio is None or turn.sample_rate_hz is None:
        return turn
    talk.listen(turn.sample_rate_hz, None)
    talk.hear_whole(turn.audio)
    event = await talk.next()
    if isinstance(event, Refused):
        raise QuestionError(event.code, event.message)
    assert isinstance(event, Heard)
    return Turn(turn.role, codes=event.codes)


async def _stream(
    completion: Completion, request: ChatRequest, first: Event, rest: AsyncIterator[Event]
) -> AsyncIterator[str]:
    with_usage = request.stream_options is not None and request.stream_options.include_usage
    yield completion.opening(request.spoken)
    yield completion.chunk(first, request.spoken, with_usage)
    async for event in rest:
        yield completion.chunk(event, request.spoken, with_usage)


async def _keep(
    events: AsyncIterator[Event], completion: Completion, answers: Answers
) -> AsyncIterator[Event]:
    async for event in events:
        if isinstance(event, Finished) and event.reply.codes:
            await answers.keep(completion.answer, event.reply.codes)
        yield event


@router.post("/v1/chat/completions")
async def create_chat_completion(http: Request) -> Response:
    """Answer a conversation; the request is read and decoded outside the event loop."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "chat")
    request = await asyncio.to_thread(_read, await http.body(), runtime)
    spoken = await _spoken_before(request, runtime.answers)
    turns = await asyncio.to_thread(conversation, request, spoken, runtime)
    talk = await runtime.open(caller)
    completion = Completion(talk.info, runtime.answers.reserve())
    events = _keep(_events(request, turns, talk), completion, runtime.answers)
    try:
        first = await anext(events)
        if request.stream:
            stream = _stream(completion, request, first, events)
            return StreamingResponse(stream, media_type="text/event-stream")
        last = [first, *[event async for event in events]][-1]
    except QuestionError as error:
        raise refused_question(error) from error
    assert isinstance(last, Finished)
    audio_format = request.audio.format if request.spoken and request.audio else None
    body = await asyncio.to_thread(completion.whole, last.reply, audio_format)
    return JSONResponse(body)
