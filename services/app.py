"""The HTTP application: routes, the web page, the limit on request bodies."""

from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moss_speech.settings import Settings
from services import chat, models, scrape, speech, transcriptions
from services.access import routes
from services.access.origins import OriginCheck
from services.access.rate_headers import RATE_HEADERS, RateHeaders
from services.access.routes import SecretRequest
from services.audio_protocol import (
    SpeechDelta,
    SpeechDone,
    SpeechRequest,
    TranscriptDelta,
    TranscriptDone,
    TranscriptionRequest,
)
from services.errors import ApiError
from services.mark import HEADER
from services.models import MODEL_HEADERS
from services.openapi import describe
from services.page import install_page
from services.protocol import ChatRequest
from services.realtime import routes as realtime
from services.refusals import install_refusals
from services.replies import ChatChunk
from services.requests import Requests
from services.runtime import Runtime

MAX_BODY_BYTES = 64 * 2**20
"""Room for any question within the engine's limit, as WAV in base64, and a history of them."""

CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["*"],
    "expose_headers": ["retry-after", HEADER, *MODEL_HEADERS, *RATE_HEADERS],
}
"""What pages of MOSS_ORIGINS may send and read."""

DESCRIBED = [
    *(ChatRequest, SpeechRequest, TranscriptionRequest, SecretRequest),
    *(ChatChunk, SpeechDelta, SpeechDone, TranscriptDelta, TranscriptDone),
]
"""What routes read themselves, and the events of their streams."""


class BodyLimit:
    """Refuses request bodies above a size while they arrive, whatever their header says."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a request and answer 413 when there are too many."""
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_bytes:
                reason = f"the body holds more than {self._max_bytes} bytes, which is the limit"
                raise ApiError(413, reason, code="body_too_large")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


def install(app: FastAPI, runtime: Runtime, chosen: Settings) -> None:
    """Make an empty application answer with a runtime."""
    app.state.runtime = runtime
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(RateHeaders)
    app.add_middleware(OriginCheck, allowed=chosen.origins, is_open=chosen.auth == "open")
    if chosen.origins:
        app.add_middleware(CORSMiddleware, allow_origins=chosen.origins, **CORS)
    app.add_middleware(Requests, count=runtime.metrics.request)
    for part in (models, chat, speech, transcriptions, routes, realtime, scrape):
        app.include_router(part.router)
    install_page(app)
    install_refusals(app)
    describe(app, DESCRIBED)
