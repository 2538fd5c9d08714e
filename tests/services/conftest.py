"""A real server: `bentoml serve` on loopback with a tiny bundle of random weights."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(model: str, log: Path, state: Path, port: int) -> subprocess.Popen[bytes]:
    """`bentoml serve` as a user types it, with state of its own."""
    env = os.environ | {
        "MOSS_MODEL": model,
        "MOSS_STATE_FOLDER": str(state),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(state / "bentoml"),
    }
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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(str(tiny_bundle(folder)), folder / "log", folder / "state", port)
    try:
        deadline = time.monotonic() + START_S
        while not _ready(url):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield Server(url, process, folder / "log")
    finally:
        stop(process)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
