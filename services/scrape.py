"""GET /metrics: the figures of all workers, whichever of them is asked.

Each worker keeps its figures in files of a folder that BentoML empties when the server starts.
BentoML's own figures are off: they are labelled by the path that was asked for, so whoever asks
for many paths would fill the memory.
"""

import asyncio
import os
import re
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
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_dead_workers(folder: Path | None) -> None:
    """Drop the gauges of workers that were killed; what they counted stays.

    Call it before this worker has figures: a dead worker may have had the same number.
    """
    if folder is None:
        return
    pids = {int(m[1]) for p in folder.iterdir() if (m := _LIVE.fullmatch(p.name))}
    for pid in pids:
        if pid == os.getpid() or not _lives(pid):
            multiprocess.mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]


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
