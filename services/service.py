"""`bentoml serve` at the project root: the approved model behind HTTP, with its web page."""

import logging
import sys
from http import HTTPStatus

import bentoml

from moss_speech.settings import settings
from services.app import create_app

app = create_app()
logger = logging.getLogger("moss_speech.service")


@bentoml.service(name="moss-speech", workers=1, traffic={"timeout": 120})
@bentoml.asgi_app(app, path="/")
class MossSpeech:
    """One worker: one engine, one model."""

    def __init__(self) -> None:
        from services.loading import load_runtime  # the model's libraries, in the worker only

        try:
            app.state.runtime = load_runtime(settings().model, settings().max_waiting)
        except (ValueError, LookupError, OSError) as error:
            logger.critical("the service cannot start: %s", error)
            sys.exit(HTTPStatus.SERVICE_UNAVAILABLE // 100)

    def __is_ready__(self) -> bool:
        """Whether the model is loaded."""
        return hasattr(app.state, "runtime")

    @bentoml.on_shutdown
    def shutdown(self) -> None:
        """End the engine's thread."""
        app.state.runtime.close()
