"""POST /v1/audio/speech: a text is said by the model, and sent while it is made."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from moss_speech.inference.turns import (
    AudioDelta,
    Event,
    Finished,
    QuestionError,
    Reply,
    Turn,
    Wish,
)
from moss_speech.lm.grid import REPEAT
from services.audio_protocol import (
    SpeechDelta,
    SpeechDone,
    SpeechRequest,
    TokenCounts,
    token_usage,
)
from services.errors import refused_question
from services.exchange import Exchange, Streamed, answered, started
from services.models import check_model
from services.openapi import answers, body
from services.pieces import text_pieces
from services.protocol import parse
from services.runtime import Runtime
from services.sound import MEDIA_TYPES, Kind, sound_stream
from services.sse import MEDIA_TYPE, sse, sse_events

router = APIRouter(tags=["audio"])


async def _said(exchange: Exchange, pieces: Sequence[str], wish: Wish) -> AsyncIterator[Event]:
    """Every piece, one after another."""
    for text in pieces:
        turns = [Turn("system", text=REPEAT["audio"]), Turn("user", text=text)]
        async for event in exchange.answer(turns, wish):
            yield event


async def _encoded(
    exchange: Exchange, events: AsyncIterator[Event], kind: Kind, replies: list[Reply]
) -> AsyncIterator[bytes]:
    """The sound as bytes of its format; whole answers are added to `replies`."""
    stream = sound_stream(exchange.talk.engine.sample_rate_hz, kind, exchange.mark.comment)
    try:
        async for event in events:
            if isinstance(event, Finished):
                replies.append(event.reply)
            elif isinstance(event, AudioDelta) and (
                data := await asyncio.to_thread(stream.push, event.samples)
            ):
                yield data
        if rest := await asyncio.to_thread(stream.finish):
            yield rest
    finally:
        stream.close()


async def _as_events(sound: AsyncIterator[bytes], replies: list[Reply]) -> AsyncIterator[str]:
    async for data in sound:
        yield sse(SpeechDelta(type="speech.audio.delta", audio=base64.b64encode(data).decode()))
    usage = token_usage(replies)
    counts = TokenCounts(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        total_tokens=usage["total_tokens"],
    )
    yield sse(SpeechDone(type="speech.audio.done", usage=counts))


async def _speak(exchange: Exchange, request: SpeechRequest) -> Response:
    kind, replies = request.kind, list[Reply]()
    try:
        wish = exchange.talk.wish("audio", voice=request.voice_name, live=request.played)
    except QuestionError as error:
        raise refused_question(error, "voice") from error
    try:
        pieces = text_pieces(request.input, wish.max_rows)
        events = await started(_said(exchange, pieces, wish))
    except QuestionError as error:
        raise refused_question(error, "input") from error
    sound = _encoded(exchange, events, kind, replies)
    if request.stream_format == "sse":
        return Streamed(exchange, sse_events(_as_events(sound, replies)), MEDIA_TYPE, spoken=True)
    return Streamed(exchange, sound, MEDIA_TYPES[kind], spoken=True)


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    responses=answers(
        None, "The sound while it is made", *MEDIA_TYPES.values(), events=[SpeechDelta, SpeechDone]
    ),
    openapi_extra=body(SpeechRequest),
)
async def create_speech(http: Request) -> Response:
    """Say a text; a long one is said sentence by sentence."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "speech")
    request = await asyncio.to_thread(parse, SpeechRequest, await http.body())
    check_model(request.model, runtime)
    return await answered(http, caller, lambda exchange: _speak(exchange, request))
