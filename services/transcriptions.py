"""POST /v1/audio/transcriptions: the model writes down what is said in a recording.

Shapes: S samples.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import UploadFile

from moss_speech.audio import LISTENING, Samples
from moss_speech.inference.questions import Limits, read_question
from moss_speech.inference.turns import Event, Finished, QuestionError, TextDelta, Turn, Wish
from moss_speech.lm.grid import REPEAT
from services.audio_protocol import (
    TranscriptDelta,
    TranscriptDone,
    TranscriptionRequest,
    VerboseWrittenSpeech,
    WrittenSpeech,
    parse_form,
    token_usage,
)
from services.errors import refused_question
from services.exchange import Exchange, Streamed, answered, started
from services.models import check_model
from services.openapi import answers, body
from services.pieces import speech_pieces
from services.runtime import Runtime
from services.sse import MEDIA_TYPE, sse, sse_events

router = APIRouter(tags=["audio"])
MAX_FILE_S = 600.0
MAX_FIELDS = 20


def _read(data: bytes, limits: Limits) -> Samples:
    try:
        return read_question(io.BytesIO(data), replace(limits, max_s=MAX_FILE_S))
    except QuestionError as error:
        raise refused_question(error, "file") from error


async def _written(
    exchange: Exchange, pieces: Sequence[Samples], wish: Wish
) -> AsyncIterator[Event]:
    """The text of every piece; a piece of a long recording in which nobody speaks adds none."""
    for i, piece_S in enumerate(pieces):
        try:
            codes = await exchange.hear(piece_S)
        except QuestionError as error:
            if error.code == "no_speech" and len(pieces) > 1:
                continue
            raise
        between = " " if i else ""
        turns = [Turn("system", text=REPEAT["text"]), Turn("user", codes=codes)]
        async for event in exchange.answer(turns, wish):
            if isinstance(event, TextDelta):
                event, between = TextDelta(between + event.text), ""
            yield event


async def _as_events(events: AsyncIterator[Event]) -> AsyncIterator[str]:
    text, replies = "", []
    async for event in events:
        if isinstance(event, TextDelta):
            text += event.text
            yield sse(TranscriptDelta(type="transcript.text.delta", delta=event.text))
        elif isinstance(event, Finished):
            replies.append(event.reply)
    usage = token_usage(replies)
    yield sse(TranscriptDone(type="transcript.text.done", text=text, usage=usage))


def _whole(request: TranscriptionRequest, duration_s: float, events: list[Event]) -> Response:
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    if request.response_format == "text":
        return PlainTextResponse(text)
    if request.response_format == "verbose_json":
        verbose: VerboseWrittenSpeech = {
            "task": "transcribe",
            "duration": duration_s,
            "language": request.language or "und",
            "text": text,
            "usage": {"type": "duration", "seconds": duration_s},
        }
        return JSONResponse(verbose)
    replies = [event.reply for event in events if isinstance(event, Finished)]
    plain: WrittenSpeech = {"text": text, "usage": token_usage(replies)}
    return JSONResponse(plain)


async def _transcribe(
    exchange: Exchange, request: TranscriptionRequest, samples_S: Samples
) -> Response:
    try:
        wish = exchange.talk.wish("text", temperature=request.temperature, live=request.stream)
        limits = exchange.talk.engine.limits
        pieces = await asyncio.to_thread(speech_pieces, samples_S, limits)
        events = await started(_written(exchange, pieces, wish))
        if request.stream:
            return Streamed(exchange, sse_events(_as_events(events)), MEDIA_TYPE, spoken=False)
        duration_s = samples_S.size / LISTENING.sample_rate_hz
        response = _whole(request, duration_s, [event async for event in events])
    except QuestionError as error:
        raise refused_question(error, "file") from error
    response.headers.update(exchange.headers(spoken=False))
    return response


async def _fields(http: Request) -> dict[str, str | bytes]:
    form = await http.form(max_files=1, max_fields=MAX_FIELDS)
    return {
        name: await value.read() if isinstance(value, UploadFile) else value
        for name, value in form.multi_items()
    }


@router.post(
    "/v1/audio/transcriptions",
    responses=answers(
        WrittenSpeech | VerboseWrittenSpeech,
        "What is said; as events if `stream`",
        "text/plain",
        events=[TranscriptDelta, TranscriptDone],
    ),
    openapi_extra=body(TranscriptionRequest, "multipart/form-data"),
)
async def create_transcription(http: Request) -> Response:
    """Write down what is said; a long recording is cut at pauses."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "transcriptions")
    request = parse_form(await _fields(http))
    check_model(request.model, runtime)
    samples_S = await asyncio.to_thread(_read, request.file, runtime.engine.limits)
    return await answered(http, caller, lambda exchange: _transcribe(exchange, request, samples_S))
