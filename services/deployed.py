"""Tells the catalogue which version this worker gives to conversations, from when to when."""

import asyncio
import logging
import os
import socket
import threading
import time

from moss_speech.catalogue.database import transact
from moss_speech.catalogue.deployments import (
    SEEN_S,
    close_deployment,
    open_deployment,
    see_deployment,
)
from moss_speech.catalogue.tables import now
from services.loaded import Loaded
from services.served import ModelInfo

LOOK_S = 2.0
_LOG = logging.getLogger(__name__)


class Deployed:
    """One worker's; a catalogue that is away is told later, and never holds up a conversation."""

    def __init__(self, models: Loaded, url: str) -> None:
        self._models, self._url = models, url
        self._place = f"{socket.gethostname()}:{os.getpid()}"
        self._told: ModelInfo | None = None
        self._row, self._seen_s = "", 0.0
        self._writing, self._closed = threading.Lock(), False

    async def follow(self) -> None:
        """Look for a swap every `LOOK_S`; write when there was one, and every `SEEN_S`."""
        is_away = False
        while True:
            try:
                await asyncio.to_thread(self.tell)
                is_away = False
            except Exception:
                if not is_away:  # once, not every two seconds
                    _LOG.warning("the catalogue cannot be told what is served", exc_info=True)
                is_away = True
            await asyncio.sleep(LOOK_S)

    def tell(self) -> None:
        """Write what is served now, if that is news or was last told `SEEN_S` ago."""
        with self._writing:
            if not self._closed:
                self._write(self._models.info)

    def _write(self, info: ModelInfo) -> None:
        if info != self._told:
            self._end()
            opened = info.version, info.digest, self._place, now()
            self._row = transact(self._url, lambda s: open_deployment(s, *opened))
            self._told, self._seen_s = info, time.monotonic()
        elif time.monotonic() - self._seen_s >= SEEN_S:
            transact(self._url, lambda s: see_deployment(s, self._row, now()))
            self._seen_s = time.monotonic()

    def _end(self) -> None:
        if self._told is not None:
            transact(self._url, lambda s: close_deployment(s, self._row, now()))
            self._told = None

    def close(self) -> None:
        """Write that it ended; where that fails, the time it was last seen tells."""
        try:
            with self._writing:
                self._closed = True
                self._end()
        except Exception:
            _LOG.warning("the catalogue cannot be told that serving ended", exc_info=True)
