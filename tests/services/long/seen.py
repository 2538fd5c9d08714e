"""A server seen from outside: its figures, its processes, what they hold."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.services.conftest import Server

MIB = 2**20
SCARES = re.compile(r"Traceback|[Ee]xception|was never awaited|never retrieved|CRITICAL")
"""What no log of a healthy server says."""


def figure(server: Server, name: str, **labels: str) -> float:
    """A figure of `/metrics`, added up over the labels that are not given."""
    text = httpx.get(f"{server.url}/metrics", timeout=30).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def server_errors(server: Server) -> float:
    """Requests that were answered with a 5xx other than 503, which says that all is taken."""
    wrong = ("500", "501", "502", "504")
    return sum(figure(server, "moss_http_requests_total", status=status) for status in wrong)


def workers(server: Server) -> list[psutil.Process]:
    """The processes that answer; the one that was started only supervises them."""
    return psutil.Process(server.process.pid).children(recursive=True)


@dataclass(frozen=True)
class Held:
    """What the workers hold together."""

    mib: float
    files: int
    threads: int


def held(server: Server) -> Held:
    found = workers(server)
    return Held(
        sum(p.memory_info().rss for p in found) / MIB,
        sum(p.num_fds() for p in found),
        sum(p.num_threads() for p in found),
    )


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line through points that lies best: units of the second for one of the first."""
    x, y = np.array(points).T
    return float(np.polyfit(x - x[0], y, 1)[0])


def wait_for(true: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait until something is so; the seconds that it took."""
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < limit_s, f"not within {limit_s:g} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began_s


def wait_until_empty(server: Server) -> None:
    """Wait until the server has forgotten every session."""
    wait_for(lambda: figure(server, "moss_sessions") == 0, 20, "no session is left")


def assert_calm(server: Server) -> None:
    """The log tells of no accident, and no request met one."""
    log = server.log.read_text()
    found = SCARES.search(log)
    assert found is None, log[max(0, found.start() - 500) : found.end() + 3000] if found else ""
    assert server_errors(server) == 0


def minutes(name: str, short: float) -> float:
    """Length of a test by a variable of the environment; the short form if that is not set."""
    return float(os.environ.get(name, short))
