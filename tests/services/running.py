"""A server of one's own for a test that needs other settings or another model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.services.conftest import START_S, Server, free_port, start, stop


@contextmanager
def running(model: str, folder: Path) -> Iterator[Server]:
    """A server that is ready; its state and log lie in `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(model, folder / "log", folder / "state", port)
    try:
        wait_until_ready(url, lambda: process.poll() is None, folder / "log")
        yield Server(url, process, folder / "log")
    finally:
        stop(process)


def wait_until_ready(url: str, alive: Any, log: Path) -> None:
    """Wait for `/readyz`; fails with the log if the server ends or takes too long."""
    deadline = time.monotonic() + START_S
    while True:
        assert alive(), log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)


def ask(url: str, voice: str, max_rows: int = 20) -> dict[str, Any]:
    """A typed question, answered in speech."""
    request = {
        "model": "moss-speech",
        "modalities": ["text", "audio"],
        "audio": {"voice": voice, "format": "wav"},
        "messages": [{"role": "user", "content": "what colour is the grass"}],
        "seed": 1,
        "max_tokens": max_rows,
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=request, timeout=300)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
