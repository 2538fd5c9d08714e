"""`bentoml serve` at the project root: the approved model behind HTTP, with its web page."""

import asyncio
import logging
import sys

import bentoml
from fastapi import FastAPI

from moss_speech.settings import settings
from services.lag import watch_loop
from services.logs import configure_logs
from services.packed import served_settings
from services.startup import (
    REFUSED,
    end_with_engine,
    end_with_supervisor,
    ending_on_failure,
    expect_failures,
    reason,
    settings_or_end,
)

_log = logging.getLogger(__name__)
app = FastAPI(title="MOSS-Speech", docs_url=None, redoc_url=None)
"""Empty here: the process that only supervises the workers needs none of the model's libraries."""


@bentoml.service(
    name="moss-speech",
    workers=settings_or_end().workers,
    traffic={"timeout": 120},
    http={"host": "127.0.0.1"},
    metrics={"enabled": False},
)
@bentoml.asgi_app(app, path="/")
class MossSpeech:
    """Each worker: one engine, one model."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Before any worker starts: end with the remedy if there is no whole model to serve."""
        configure_logs(settings().logs)
        from moss_speech.card import verify_bundle
        from moss_speech.registry.fetch import find_model

        try:
            verify_bundle(find_model(served_settings().model).folder)
        except REFUSED as error:
            sys.exit(reason(error))
        if settings().auth == "open":
            _log.warning("no keys are asked for: whoever reaches the service uses it (MOSS_AUTH)")
        expect_failures()

    def __init__(self) -> None:
        configure_logs(settings().logs)
        from services.app import install
        from services.runtime import load_runtime
        from services.scrape import forget_namesake

        forget_namesake(settings().prometheus_folder)
        with ending_on_failure():
            install(app, load_runtime(served_settings()), settings())

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def watch(self) -> None:
        """From now on: follow the champion, watch the event loop, the supervisor, the engine."""
        runtime = app.state.runtime
        runtime.start()
        self._watches = [
            asyncio.create_task(watch_loop(runtime.metrics.lag)),
            asyncio.create_task(end_with_supervisor()),
            asyncio.create_task(end_with_engine(lambda: runtime.works)),
        ]

    def __is_ready__(self) -> bool:
        """Whether the model is loaded and its engine works."""
        return hasattr(app.state, "runtime") and bool(app.state.runtime.works)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def shutdown(self) -> None:
        """End the engine's thread."""
        app.state.runtime.close()
