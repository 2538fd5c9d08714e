"""Hot swap: the service follows the champion, from one approved version to the next.

The catalogue is asked, where only a committed promotion makes a champion: an alias that somebody
edits in the tracking server changes nothing here.
"""

import asyncio
import gc
import logging

from moss_speech.registry.addresses import FoundModel
from moss_speech.registry.fetch import find_model
from moss_speech.registry.promotion import champion
from moss_speech.registry.store import MODEL
from moss_speech.settings import Settings
from services.loaded import Loaded
from services.loading import fits_beside, load_serving
from services.metrics import Metrics

_LOG = logging.getLogger(__name__)
CHAMPION = "@champion"


async def follow(models: Loaded, chosen: Settings, metrics: Metrics) -> None:
    """Look every `follow_s` for a new champion and swap to it; a failure is logged, tried once."""
    if not chosen.model.endswith(CHAMPION) or not chosen.follow_s:
        return
    failed: int | None = None
    while True:
        await asyncio.sleep(chosen.follow_s)
        try:
            now = await asyncio.to_thread(champion)
        except Exception:
            _LOG.exception("the catalogue cannot be asked for the champion; trying again")
            continue
        if now is None or str(now.version) == models.info.version or now.version == failed:
            continue
        try:
            await swap(models, chosen, metrics)
            failed = None
        except Exception:
            failed = now.version
            metrics.swap("failed")
            _LOG.exception("version %d could not be loaded; the one before goes on", now.version)


async def swap(models: Loaded, chosen: Settings, metrics: Metrics) -> None:
    """Open the champion beside the served model, or after it where memory does not hold both."""
    metrics.swap("loading")
    found = await asyncio.to_thread(find_model, chosen.model)
    if chosen.swap == "beside" or (
        chosen.swap == "auto" and fits_beside(found.folder, chosen.device)
    ):
        await models.replace(*await asyncio.to_thread(load_serving, chosen, found))
    else:
        await _after_the_old(models, found, chosen, metrics)
    metrics.swap("steady")
    _LOG.info("version %s is served to new conversations", models.info.version)


async def _after_the_old(
    models: Loaded, found: FoundModel, chosen: Settings, metrics: Metrics
) -> None:
    """Let the served model go first; if the new one fails, the old one comes back."""
    metrics.swap("draining")
    before = models.info.version
    await models.drain()
    gc.collect()
    try:
        await models.replace(*await asyncio.to_thread(load_serving, chosen, found))
    except Exception:
        earlier = await asyncio.to_thread(find_model, f"models:/{MODEL}/{before}")
        await models.replace(*await asyncio.to_thread(load_serving, chosen, earlier))
        raise
