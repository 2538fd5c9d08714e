"""A real server: `bentoml serve` on loopback with a tiny bundle of random weights."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.tiny_bundle import tiny_bundle

ROOT = Path(__file__).parents[2]
START_S = 180


@dataclass(frozen=True)
class Server:
    """A running server and the place of its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    state: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(model: str, log: Path, state: Path, port: int, **more: str) -> subprocess.Popen[bytes]:
    """`bentoml serve` as a user types it, with state of its own; `more` are MOSS settings."""
    ours = {
        "MOSS_MODEL": model,
        "MOSS_STATE_FOLDER": str(state),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(state / "bentoml"),
    }
    env = os.environ | ours | {f"MOSS_{name.upper()}": value for name, value in more.items()}
    command = [sys.executable, "-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def serving(
    folder: Path, model: Path | str | None = None, port: int | None = None, **more: str
) -> Iterator[Server]:
    """A server with a model, a tiny bundle if none is given, once it is ready.

    `more` are MOSS settings; log and state are in `folder`.
    """
    port = port or free_port()
    url, log, state = f"http://127.0.0.1:{port}", folder / "log", folder / "state"
    process = start(str(model or tiny_bundle(folder)), log, state, port, **more)
    try:
        deadline = time.monotonic() + START_S
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield Server(url, process, log, state)
    finally:
        stop(process)


@pytest.fixture(scope="session", params=["1", "2"], ids=["1-worker", "2-workers"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), workers=request.param) as running:
        yield running


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
