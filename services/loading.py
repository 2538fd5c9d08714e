"""From settings to a running engine: find the model, verify it, open it, warm it up."""

from pathlib import Path

import numpy as np

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import Turn
from services.metrics import Metrics
from services.runtime import ModelInfo, Runtime

WARM_UP_S = 2.0
WARM_UP_ROWS = 30
NAME = "moss-speech"


def locate(model: str) -> tuple[Path, str]:
    """Folder and version of a registry address or a bundle folder.

    Raises `ValueError` with the remedy if there is none.
    """
    if (folder := Path(model)).is_dir():
        return folder, "local"
    from moss_speech.registry.promotion import fetch_model

    return fetch_model(model)


def warm_up(engine: Engine) -> None:
    """Answer noise once, so that the first question does not pay for first calls."""
    rate_hz = engine.listening_rate_hz
    noise = np.random.default_rng(0).normal(0, 0.1, int(WARM_UP_S * rate_hz)).astype(np.float32)
    engine.reply([Turn("user", audio=noise, sample_rate_hz=rate_hz)], seed=0, max_rows=WARM_UP_ROWS)


def load_runtime(model: str, max_waiting: int) -> Runtime:
    """Everything that the routes need, ready to answer."""
    folder, version = locate(model)
    bundle = Bundle.open(folder)
    engine = Engine(bundle)
    warm_up(engine)
    return Runtime(engine, ModelInfo(NAME, version, bundle.digest), Metrics(), max_waiting)
