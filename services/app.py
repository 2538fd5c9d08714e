"""The HTTP application: routes, the web page, the limit on request bodies."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moss_speech.settings import Settings
from services import chat, scrape
from services.access import routes
from services.access.origins import OriginCheck
from services.access.rate_headers import RATE_HEADERS, RateHeaders
from services.errors import ApiError, answer_api_error
from services.realtime import routes as realtime
from services.requests import Requests
from services.runtime import Runtime

WEB = Path(__file__).parent / "web"
MAX_BODY_BYTES = 64 * 2**20
"""Room for any question within the engine's limit, as WAV in base64, and a history of them."""

PAGE_HEADERS = {
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' data:",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["*"],
    "expose_headers": ["retry-after", *RATE_HEADERS],
}
"""What pages of MOSS_ORIGINS may send and read."""

router = APIRouter()


def model_card(runtime: Runtime) -> dict[str, Any]:
    """One entry of GET /v1/models, with what a client must know to speak with the model."""
    engine, model = runtime.engine, runtime.model
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "moss-speech",
        "version": model.version,
        "digest": model.digest,
        "voices": list(engine.voices),
        "sample_rate_hz": engine.sample_rate_hz,
        "question_s": [engine.limits.min_s, engine.limits.max_s],
        "lineage": engine.lineage,
    }


@router.get("/v1/models")
async def list_models(http: Request) -> dict[str, Any]:
    """The one model that is served."""
    return {"object": "list", "data": [model_card(http.app.state.runtime)]}


@router.get("/v1/models/{name}")
async def retrieve_model(name: str, http: Request) -> dict[str, Any]:
    """The model by its id."""
    runtime: Runtime = http.app.state.runtime
    if name != runtime.model.name:
        reason = f"the model {name!r} does not exist here; it is {runtime.model.name}"
        raise ApiError(404, reason, code="model_not_found", param="model")
    return model_card(runtime)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page on which people ask and listen."""
    return FileResponse(WEB / "index.html", headers=PAGE_HEADERS)


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
    app.add_exception_handler(ApiError, answer_api_error)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(RateHeaders)
    app.add_middleware(OriginCheck, allowed=chosen.origins, is_open=chosen.auth == "open")
    if chosen.origins:
        app.add_middleware(CORSMiddleware, allow_origins=chosen.origins, **CORS)
    app.add_middleware(Requests, count=runtime.metrics.request)
    app.include_router(router)
    app.include_router(chat.router)
    app.include_router(routes.router)
    app.include_router(scrape.router)
    app.include_router(realtime.router)
    app.mount("/web", StaticFiles(directory=WEB), name="web")
