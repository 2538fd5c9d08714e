"""GET /metrics: the figures of all workers, whichever of them is asked.

Each worker keeps its figures in files of a folder that BentoML empties when the server starts.
BentoML's own figures are off: they are labelled by the path that was asked for, so whoever asks
for many paths would fill the memory.
"""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from moss_speech.settings import settings

_LIVE = re.compile(r"gauge_live\w+_(\d+)\.db")

router = APIRouter()


def exposition(folder: Path | None) -> bytes:
    """Every worker's figures as Prometheus reads them; only this process's without a folder."""
    if folder is None:
        return generate_latest(REGISTRY)
    _drop_gauges(folder, lambda pid: not _lives(pid))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_namesake(folder: Path | None) -> None:
    """Drop the gauges of a dead worker that had this process's number; no figures exist yet."""
    if folder is not None:
        _drop_gauges(folder, lambda pid: pid == os.getpid())


def _drop_gauges(folder: Path, is_gone: Callable[[int], bool]) -> None:
    """Of workers that were killed; what they counted stays."""
    for path in folder.iterdir():
        if (live := _LIVE.fullmatch(path.name)) and is_gone(int(live[1])):
            path.unlink(missing_ok=True)  # another worker may be dropping it too


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """The figures of all workers."""
    content = await asyncio.to_thread(exposition, settings().prometheus_folder)
    return Response(content, media_type=CONTENT_TYPE_LATEST)
