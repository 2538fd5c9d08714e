"""From settings to a running engine: find the model, verify it, open it, warm it up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Space
from moss_speech.inference.serving import Serving, prepared
from moss_speech.inference.turns import Turn
from moss_speech.inference.voices import store, with_added_voices
from moss_speech.lm.slots import Decoding
from moss_speech.registry.addresses import FoundModel
from moss_speech.registry.fetch import find_model
from moss_speech.settings import Settings
from services.served import ModelInfo

WARM_UP_S = 2.0
WARM_UP_ROWS = 30
WARM_UP = Space(sessions=1, rows=512)
"""A place for one short conversation: the model's positions would take gigabytes."""
NAME = "moss-speech"
MEMORY = Path("/proc/meminfo")


def warm_up(engine: Engine) -> None:
    """Use every part once, so that no conversation pays for first calls; keeps nothing of it."""
    rate_hz = engine.listening_rate_hz
    noise = np.random.default_rng(0).normal(0, 0.1, int(WARM_UP_S * rate_hz)).astype(np.float32)
    scheduler = engine.scheduler(WARM_UP)
    session = scheduler.open(lambda event: None)
    session.hear_whole(noise)  # it is no question, which is known once all of it was heard
    wish = engine.wish(seed=0, max_rows=WARM_UP_ROWS)
    session.respond([Turn("user", text="hello")], replace(wish, live=False))
    while scheduler.tick():
        pass
    session.close()


def load_serving(chosen: Settings, found: FoundModel | None = None) -> tuple[Engine, ModelInfo]:
    """The chosen model, or one that was found, opened as the settings say, and warmed up.

    It may be called while another model is served. Raises what `find_model`, `Bundle.open` and
    `prepared` raise.
    """
    how = Serving(chosen.device, chosen.dtype, chosen.weights)
    how.check()
    found = found or find_model(chosen.model)
    bundle = with_added_voices(prepared(Bundle.open(found.folder), how), store())
    decoding = Decoding(static=chosen.compiler is not None, compiler=chosen.compiler)
    engine = Engine(bundle, decoding=decoding)
    warm_up(engine)
    version = "local" if found.version is None else str(found.version)
    return engine, ModelInfo(NAME, version, found.digest or bundle.digest)


def fits_beside(folder: Path, device: str) -> bool:
    """Whether memory holds one model more, with as much again for what it computes."""
    needed = 2 * sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if device == "cuda":
        return needed < torch.cuda.mem_get_info()[0]
    memory = dict(line.split(":") for line in MEMORY.read_text().splitlines())
    return needed < 1024 * int(memory["MemAvailable"].split()[0])
