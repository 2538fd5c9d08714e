"""POST /v1/chat/completions: speech or text in, speech or text out, whole or streamed."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from moss_speech.inference.turns import Event, Finished, QuestionError, Turn, Wish
from services.answers import Answers
from services.conversation import conversation, said_before
from services.errors import refused_question
from services.exchange import Exchange, Streamed, answered, started
from services.ids import bind
from services.models import check_model
from services.openapi import answers, body
from services.protocol import ChatRequest, parse
from services.replies import ChatChunk, ChatCompletion, Completion
from services.runtime import Runtime
from services.sse import MEDIA_TYPE, sse_events

router = APIRouter(tags=["chat"])


def _wish(request: ChatRequest, exchange: Exchange) -> Wish:
    try:
        return exchange.talk.wish(
            request.output,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            max_rows=request.max_rows,
            voice=request.audio.voice if request.audio else None,
            live=request.stream,
        )
    except QuestionError as error:
        raise refused_question(error, "audio.voice") from error


async def _chunks(
    completion: Completion, request: ChatRequest, events: AsyncIterator[Event]
) -> AsyncIterator[str]:
    with_usage = request.stream_options is not None and request.stream_options.include_usage
    yield completion.opening(request.spoken)
    async for event in events:
        yield completion.chunk(event, request.spoken, with_usage)


async def _kept(
    events: AsyncIterator[Event], completion: Completion, stored: Answers
) -> AsyncIterator[Event]:
    async for event in events:
        if isinstance(event, Finished) and event.reply.codes:
            await stored.keep(completion.answer, event.reply.codes)
        yield event


async def _respond(
    exchange: Exchange, request: ChatRequest, turns: Sequence[Turn], stored: Answers
) -> Response:
    wish = _wish(request, exchange)
    completion = Completion(exchange.talk.info, stored.reserve(exchange.talk.engine.codec_digest))
    bind(response=completion.id)
    try:
        heard = [
            turn if turn.audio is None else Turn(turn.role, codes=await exchange.hear(turn.audio))
            for turn in turns
        ]
        events = await started(_kept(exchange.answer(heard, wish), completion, stored))
        if request.stream:
            chunks = sse_events(_chunks(completion, request, events))
            return Streamed(exchange, chunks, MEDIA_TYPE, request.spoken)
        last = [event async for event in events][-1]
    except QuestionError as error:
        raise refused_question(error, "messages") from error
    assert isinstance(last, Finished)
    kind = request.audio.kind if request.spoken and request.audio else None
    whole = await asyncio.to_thread(completion.whole, last.reply, kind, exchange.mark.comment)
    return JSONResponse(whole, headers=exchange.headers(request.spoken))


@router.post(
    "/v1/chat/completions",
    responses=answers(ChatCompletion, "The answer; as events if `stream`", events=[ChatChunk]),
    openapi_extra=body(ChatRequest),
)
async def create_chat_completion(http: Request) -> Response:
    """Answer a conversation, in speech or in text."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "chat")
    request = await asyncio.to_thread(parse, ChatRequest, await http.body())
    check_model(request.model, runtime)
    said = await said_before(request, runtime.answers, runtime.engine.codec_digest)
    turns = await asyncio.to_thread(conversation, request, runtime.engine, said)
    return await answered(
        http,
        caller,
        lambda exchange: _respond(exchange, request, turns, runtime.answers),
        request.store,
    )
