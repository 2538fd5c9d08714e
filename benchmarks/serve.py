"""How fast the served model answers a 2 s question: real server, real socket, loopback.

`make bench-serve` measures the champion, or MOSS_MODEL. It prints a table and writes
benchmarks/serve.json.
"""

import base64
import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
from _figures import Figure, figure, report

from moss_speech.audio import SPEAKING, write_audio
from moss_speech.settings import settings
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG

QUESTION = "what is the color of the grass"
QUESTION_S = 2.0
ROUNDS = 15
START_LIMIT_S = 180


def question() -> str:
    """Exactly 2 s of a spoken question, as a WAV in base64."""
    rate_hz = SPEAKING.sample_rate_hz
    n_samples = int(QUESTION_S * rate_hz)
    said = EspeakNG().say(QUESTION, "en-us+f4", Manner())[:n_samples]
    file = io.BytesIO()
    write_audio(file, np.pad(said, (0, n_samples - said.size)), rate_hz, format="WAV")
    return base64.b64encode(file.getvalue()).decode()


@contextmanager
def running_server() -> Iterator[tuple[str, float]]:
    """Address of a fresh `bentoml serve` and the seconds it took to be ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=settings().root, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _ready(url):
            if process.poll() is not None or time.monotonic() - began > START_LIMIT_S:
                raise RuntimeError("the server did not become ready; its output is above")
            time.sleep(0.05)
        yield url, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def ask(url: str, model: dict[str, Any], data: str) -> tuple[float, float]:
    """Seconds from sending a question to its first audio, and to the end per second of answer."""
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    body = {
        "model": model["id"],
        "messages": [{"role": "user", "content": [part]}],
        "modalities": ["text", "audio"],
        "audio": {"voice": model["voices"][0], "format": "pcm16"},
        "stream": True,
        "seed": 1,
    }
    first_s, n_bytes, began = 0.0, 0, time.perf_counter()
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=120) as stream:
        stream.raise_for_status()
        for line in stream.iter_lines():
            if '"data":"' not in line:
                continue
            first_s = first_s or time.perf_counter() - began
            chunk = json.loads(line.removeprefix("data: "))
            n_bytes += len(base64.b64decode(chunk["choices"][0]["delta"]["audio"]["data"]))
    total_s = time.perf_counter() - began
    if n_bytes == 0:
        raise RuntimeError("the model answered with silence, so there is nothing to measure")
    return first_s, total_s / (n_bytes / 2 / model["sample_rate_hz"])


def measure() -> list[Figure]:
    """All figures of one server."""
    data = question()
    with running_server() as (url, ready_s):
        model = httpx.get(f"{url}/v1/models").json()["data"][0]
        answers = [ask(url, model, data) for _ in range(ROUNDS + 1)][1:]
    return [
        figure("first audio after a 2 s question", [first for first, _ in answers], "s", 0.5),
        figure("real-time factor of the answer", [factor for _, factor in answers], "", 0.5),
        figure("server start to ready", [ready_s], "s"),
    ]


if __name__ == "__main__":
    report("serve", measure())
