"""The figures: what the engine reports is counted, over workers that live and died."""

import asyncio
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from starlette.responses import Response
from starlette.testclient import WebSocketDenialResponse

from moss_speech.inference.observer import Observer
from services.lag import watch_loop
from services.metrics import Metrics
from services.requests import ELSEWHERE, Requests
from services.scrape import exposition, forget_namesake
from tests.services.promql import Served, served_by

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
from services.metrics import Metrics
metrics = Metrics()
metrics.session(int(sys.argv[1]))
metrics.underrun(0.5)
metrics.serving("3", "d")
print("ready", flush=True)
sys.stdin.read()
"""


def value(served: Served, name: str, exposed: str, **labels: str) -> float:
    """One sample of an exposition that has it."""
    assert labels in served[name]
    wanted = "".join(f'(?=.*{k}="{v}")' for k, v in labels.items())
    found = re.findall(rf"^{name}(?=[ {{]){wanted}.* (\S+)$", exposed, re.MULTILINE)
    assert len(found) == 1
    return float(found[0])


def test_what_the_engine_reports_is_counted() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    observer: Observer = metrics
    observer.session(1)
    observer.session(1)
    observer.session(-1)
    observer.waiting(3)
    observer.waiting(-1)
    observer.engine_step("think", 0.03, 4)
    observer.engine_step("think", 0.01, 2)
    observer.first_audio(0.25)
    observer.underrun(0.125)
    observer.finished("stop", 2.0, 1.0)
    observer.finished("cancelled", 0.0, 0.1)
    exposed = generate_latest(registry).decode()
    served = served_by(exposed)
    figures = {
        ("moss_sessions", ()): 1,
        ("moss_waiting", ()): 2,
        ("moss_engine_step_seconds_sum", (("kind", "think"),)): 0.04,
        ("moss_engine_batch_sum", (("kind", "think"),)): 6,
        ("moss_engine_batch_count", (("kind", "speak"),)): 0,
        ("moss_first_audio_seconds_bucket", (("le", "0.2"),)): 0,
        ("moss_first_audio_seconds_bucket", (("le", "0.3"),)): 1,
        ("moss_underrun_seconds_total", ()): 0.125,
        ("moss_answers_total", (("finish", "stop"),)): 1,
        ("moss_answers_total", (("finish", "cancelled"),)): 1,
        ("moss_spoken_seconds_total", ()): 2,
        ("moss_real_time_factor_count", ()): 1,
        ("moss_real_time_factor_sum", ()): 0.5,
    }
    assert {key: value(served, key[0], exposed, **dict(key[1])) for key in figures} == figures


def test_a_swap_shows_one_state_and_which_version_is_given() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.serving("3", "a", 1000)
    metrics.swap("draining")
    metrics.retired("3", "a")
    metrics.serving("4", "b", 2000)
    exposed = generate_latest(registry).decode()
    served = served_by(exposed)
    states = {
        labels["state"]: value(served, "moss_swap_workers", exposed, **labels)
        for labels in served["moss_swap_workers"]
    }
    assert states == {"steady": 0, "loading": 0, "draining": 1, "failed": 0}
    assert value(served, "moss_model_workers", exposed, version="3", digest="a") == 0
    assert value(served, "moss_model_workers", exposed, version="4", digest="b") == 1
    assert value(served, "moss_session_state_bytes", exposed) == 2000


def worker(folder: Path, sessions: int) -> subprocess.Popen[str]:
    """A process with figures of its own, as BentoML starts one."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(sessions)],
        cwd=ROOT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_workers_are_added_up_and_a_killed_one_has_no_conversations(tmp_path: Path) -> None:
    workers = [worker(tmp_path, 2), worker(tmp_path, 3)]
    try:
        for process in workers:
            wait_until_ready(process)
        exposed = exposition(tmp_path).decode()
        served = served_by(exposed)
        assert value(served, "moss_sessions", exposed) == 5
        assert value(served, "moss_model_workers", exposed, version="3", digest="d") == 2
        assert value(served, "moss_underruns_total", exposed) == 2
        workers[0].kill()
        workers[0].wait()
        exposed = exposition(tmp_path).decode()
        assert value(served, "moss_sessions", exposed) == 3
        assert value(served, "moss_model_workers", exposed, version="3", digest="d") == 1
        assert value(served, "moss_underruns_total", exposed) == 2
    finally:
        for process in workers:
            process.kill()
            process.wait()


def test_a_new_worker_does_not_go_on_with_the_figures_of_a_dead_one(tmp_path: Path) -> None:
    stale = tmp_path / f"gauge_livesum_{os.getpid()}.db"
    stale.touch()
    forget_namesake(tmp_path)
    assert not stale.exists()


def test_a_blocked_event_loop_is_noticed() -> None:
    lags: list[float] = []

    async def block() -> None:
        watching = asyncio.create_task(watch_loop(lags.append, every_s=0.01))
        await asyncio.sleep(0.03)
        time.sleep(0.2)
        await asyncio.sleep(0.03)
        watching.cancel()

    asyncio.run(block())
    assert max(lags) > 0.15
    assert min(lags) >= 0


@pytest.mark.parametrize(("ending", "status"), [("", 101), ("broken", 500), ("refused", 403)])
def test_a_websocket_is_counted_by_how_it_went(ending: str, status: int) -> None:
    app, counted = counting_app()
    connecting = TestClient(app).websocket_connect(f"/live?{ending}")
    with suppress(RuntimeError, WebSocketDisconnect), connecting as socket:
        assert socket.receive_text() == "hello"
    assert counted == [("WS", "/live", status)]


def test_a_handshake_that_is_refused_carries_the_id_of_its_request() -> None:
    app, counted = counting_app()
    with pytest.raises(WebSocketDenialResponse) as refused:
        TestClient(app).websocket_connect("/live?denied").__enter__()
    assert re.fullmatch(r"req_[0-9a-f]{32}", refused.value.headers["x-request-id"])
    assert counted == [("WS", "/live", 401)]


def counting_app() -> tuple[FastAPI, list[tuple[str, str, int]]]:
    app = FastAPI()
    counted: list[tuple[str, str, int]] = []

    @app.get("/things/{name}")
    async def thing(name: str) -> str:
        if name == "broken":
            raise RuntimeError(name)
        return name

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        if socket.url.query == "denied":
            await socket.send_denial_response(Response(status_code=401))
            return
        if socket.url.query == "refused":
            await socket.close()
            return
        await socket.accept()
        await socket.send_text("hello")
        if socket.url.query == "broken":
            raise RuntimeError("broken")

    app.add_middleware(Requests, count=lambda m, r, s, _: counted.append((m, r, s)))
    return app, counted


def test_requests_are_counted_by_route_and_never_by_path() -> None:
    app, counted = counting_app()

    async def ask() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            await client.get("/things/1")
            await client.get("/things/2")
            await client.get("/things/broken")
            await client.get("/nothing")
            await client.request("BREW", "/things/3")

    asyncio.run(ask())
    route = "/things/{name}"
    assert counted == [
        ("GET", route, 200),
        ("GET", route, 200),
        ("GET", route, 500),
        ("GET", ELSEWHERE, 404),
        (ELSEWHERE, route, 405),
    ]


def test_a_request_keeps_the_id_it_came_with_if_it_is_one() -> None:
    app, _ = counting_app()

    async def ids(*sent: str) -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return [
                (await client.get("/things/1", headers={"x-request-id": one})).headers[
                    "x-request-id"
                ]
                for one in sent
            ]

    kept, *made = asyncio.run(ids("trace-1.a", "x" * 65, "a b", ""))
    assert kept == "trace-1.a"
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in made)
