"""A server of the benchmark's own, what its /metrics counted, and the memory of its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from moss_speech.settings import settings

START_LIMIT_S = 180
Samples = dict[tuple[str, str], float]
"""Values by name and one label: kind or le."""


@dataclass(frozen=True)
class Server:
    """Where it answers, how long it took to be ready, and its first process."""

    url: str
    ready_s: float
    process: "subprocess.Popen[bytes]"

    def memory_mb(self) -> float:
        """Resident memory of all its processes."""
        first = psutil.Process(self.process.pid)
        together = [first, *first.children(recursive=True)]
        return sum(process.memory_info().rss for process in together) / 1e6

    def metrics(self) -> Samples:
        """Counters and buckets now."""
        values: Samples = {}
        for family in text_string_to_metric_families(httpx.get(f"{self.url}/metrics").text):
            for sample in family.samples:
                label = sample.labels.get("le") or sample.labels.get("kind", "")
                if not (sample.name.endswith("_bucket") and "kind" in sample.labels):
                    key = (sample.name, label)
                    values[key] = values.get(key, 0.0) + sample.value
        return values


@contextmanager
def running_server(sessions: int) -> Iterator[Server]:
    """A fresh `bentoml serve` on loopback with so many places, once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    ours = {"MOSS_SESSIONS": str(sessions), "MOSS_AUTH": "open", "MOSS_FOLLOW_S": "0"}
    log, began_s = settings().state / "bench-serve.log", time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=settings().root, env=os.environ | ours, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        while not _ready(url):
            if process.poll() is not None or time.monotonic() - began_s > START_LIMIT_S:
                raise RuntimeError(f"the server did not become ready; see {log}")
            time.sleep(0.05)
        yield Server(url, time.monotonic() - began_s, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def busy_s(before: Samples, after: Samples) -> dict[str, float]:
    """Seconds that the engine computed between two looks, by kind of work."""
    name = "moss_engine_step_seconds_sum"
    return {k: v - before.get((n, k), 0.0) for (n, k), v in after.items() if n == name}


def grown(before: Samples, after: Samples, name: str) -> float:
    """By how much a counter grew."""
    return after.get((name, ""), 0.0) - before.get((name, ""), 0.0)


def quantile_s(before: Samples, after: Samples, histogram: str, q: float) -> float:
    """A quantile of what a histogram counted between two looks, interpolated in its bucket."""
    name = f"{histogram}_bucket"
    counts = sorted(
        (float(le), v - before.get((n, le), 0.0)) for (n, le), v in after.items() if n == name
    )
    wanted, low_s, below = q * counts[-1][1], 0.0, 0.0
    for high_s, n_below in counts:
        if n_below >= wanted and n_below > below:
            if high_s == float("inf"):
                return low_s
            return low_s + (high_s - low_s) * (wanted - below) / (n_below - below)
        low_s, below = high_s, n_below
    raise ValueError(f"{histogram} counted nothing")
