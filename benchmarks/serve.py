"""How the service holds live conversations: real server, real sockets, recorded speech, loopback.

`make bench-serve` measures the champion, or MOSS_MODEL, in about 20 minutes; `--quick` in five,
with shorter loads and without keeping the figures. It prints a table and writes
benchmarks/serve.json. The clients run on the same machine and are not left out of any figure.
"""

import base64
import io
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import httpx
from _figures import Figure, figure, report
from _serve_engine import overheads
from _serve_loads import (
    REAL_TIME_GOAL,
    SESSIONS,
    interrupted,
    lag,
    memory,
    one_session,
    sessions_held,
)
from _serve_server import Server, running_server

from moss_speech.audio import Samples, write_audio
from moss_speech.cli.bench import spoken_question
from moss_speech.client.line import RATE_HZ
from moss_speech.client.load import Load

OVERHEAD_GOAL = 0.1


@dataclass(frozen=True)
class Plan:
    """How long each part is measured; seconds."""

    alone_s: float = 60.0
    probe_s: float = 20.0
    held_s: float = 300.0
    answers: int = 15
    rounds: int = 5


QUICK = Plan(alone_s=25.0, probe_s=15.0, held_s=30.0, answers=5, rounds=3)


def whole_answer(server: Server, model: dict[str, Any], question_S: Samples) -> float:
    """Seconds that a whole answer over HTTP takes for a second of it."""
    file = io.BytesIO()
    write_audio(file, question_S, RATE_HZ, format="WAV")
    data = base64.b64encode(file.getvalue()).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    body = {
        "model": model["id"],
        "messages": [{"role": "user", "content": [part]}],
        "modalities": ["text", "audio"],
        "audio": {"voice": model["voices"][0], "format": "pcm16"},
    }
    began_s = time.perf_counter()
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120)
    took_s = time.perf_counter() - began_s
    answer.raise_for_status()
    sound = base64.b64decode(answer.json()["choices"][0]["message"]["audio"]["data"])
    if not sound:
        raise RuntimeError("the model answered with silence, so there is nothing to measure")
    return took_s / (len(sound) / 2 / model["sample_rate_hz"])


def measure(plan: Plan) -> list[Figure]:
    """All figures of one server."""
    question_S = spoken_question()
    alone = Load(question_S, seconds=plan.alone_s)
    crowd = replace(alone, seconds=plan.held_s)
    with running_server(max(SESSIONS)) as server:
        figures = [figure("server start to ready", [server.ready_s], "s"), memory(server, alone)]
        model = httpx.get(f"{server.url}/v1/models").json()["data"][0]
        factors = [whole_answer(server, model, question_S) for _ in range(plan.answers)]
        figures += one_session(server, alone)
        figures += [
            figure("real-time factor, whole answer over HTTP", factors, "", REAL_TIME_GOAL),
            *interrupted(server, alone),
            lag(server, replace(crowd, seconds=plan.probe_s)),
            *sessions_held(server, crowd, plan.probe_s),
            *sessions_held(server, replace(crowd, all_at_once=True), plan.probe_s),
        ]
    over = overheads(question_S, SESSIONS[0], plan.rounds)
    name = "engine on top of the model's calls, 8 conversations"
    return [*figures, figure(name, over, "", OVERHEAD_GOAL)]


if __name__ == "__main__":
    quick = "--quick" in sys.argv[1:]
    report("serve", measure(QUICK if quick else Plan()), keep=not quick)
