"""Servers that are killed in mid-session: what clients see, and what comes back."""

import asyncio
import os
import signal
import sqlite3
import time
from pathlib import Path

import httpx
import psutil
import pytest

from moss_speech.catalogue.limits import LEASE_S
from tests.services.conftest import Server, free_port, serving
from tests.services.long.seen import figure, wait_for, wait_until_empty, workers
from tests.services.long.talkers import closing, listening
from tests.services.realtime.line import LONG, MANUAL, in_loop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LIVE = MANUAL | {"max_output_tokens": LONG}


def ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def assert_whole(state: Path) -> None:
    """The catalogue is as sound as it was."""
    with sqlite3.connect(state / "catalogue.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


def spoken_answer(server: Server) -> str:
    """The id of an answer that the server keeps."""
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=chat("hello"), timeout=120)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["audio"]["id"])


def chat(text: str, *before: dict[str, object]) -> dict[str, object]:
    asked = {"role": "user", "content": text}
    sound = {"modalities": ["text", "audio"], "audio": {"voice": "assistant", "format": "wav"}}
    return {"model": "moss-speech", "messages": [*before, asked], "seed": 1} | sound


async def cut_off(server: Server, pid: int, n_sessions: int = 2) -> None:
    """Kill a process while it answers; every client learns of it at once."""
    async with asyncio.TaskGroup() as clients:
        talking = [asyncio.Event() for _ in range(n_sessions)]
        ended = [clients.create_task(_talk_until_cut(server, event)) for event in talking]
        for event in talking:
            await event.wait()
        os.kill(pid, signal.SIGKILL)
        killed_s = time.monotonic()
    took_s = max(task.result() for task in ended) - killed_s
    print(f"{n_sessions} clients saw the end within {took_s:.2f} s")
    assert took_s < 5


async def _talk_until_cut(server: Server, talking: asyncio.Event) -> float:
    async with listening(server.url, **LIVE) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        talking.set()
        closed = await closing(line)
        assert closed.rcvd is None or closed.rcvd.code != 1000, "a cut answer is no good end"
        return time.monotonic()


async def assert_answers(server: Server) -> None:
    async with listening(server.url) as line:
        assert (await line.ask())["output"][0]["content"][0]["type"] == "output_audio"


@in_loop
async def test_killed_worker_comes_back_and_its_places_become_free(tmp_path: Path) -> None:
    with serving(tmp_path, sessions_per_key="2") as server:
        answer_id = spoken_answer(server)
        [worker] = workers(server)
        await cut_off(server, worker.pid)
        killed_s = time.monotonic()
        wait_for(lambda: ready(server), 120, "a new worker is ready")
        print(f"a new worker was ready after {time.monotonic() - killed_s:.1f} s")
        assert [w.pid for w in workers(server)] != [worker.pid]
        wait_until_empty(server)
        asked = chat("and then", {"role": "assistant", "audio": {"id": answer_id}})
        post = f"{server.url}/v1/chat/completions"

        def has_place() -> bool:
            answer = httpx.post(post, json=asked, timeout=120)
            if answer.status_code == 429:
                assert answer.json()["error"]["code"] == "rate_limit_exceeded"
                assert int(answer.headers["retry-after"]) >= 1
            else:
                assert answer.status_code == 200, answer.text
            return answer.status_code == 200

        wait_for(has_place, LEASE_S + 5, "the dead worker's places are free")
        print(f"its places were free after {time.monotonic() - killed_s:.1f} s")
        await assert_answers(server)
        assert_whole(server.state)


@in_loop
async def test_killed_supervisor_leaves_no_worker_and_no_port(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port=port, workers="2") as server:
        answer_id = spoken_answer(server)
        left = workers(server)
        assert len(left) == 2
        await cut_off(server, server.process.pid)
        gone, alive = psutil.wait_procs(left, timeout=20)
        assert not alive, f"{len(gone)} ended, {len(alive)} serve on without a supervisor"
    with serving(tmp_path, model=tmp_path / "bundle", port=port) as server:
        asked = chat("and then", {"role": "assistant", "audio": {"id": answer_id}})
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=asked, timeout=120)
        assert answer.status_code == 200, answer.text
        await assert_answers(server)
        assert figure(server, "moss_answers_total") >= 2
        assert_whole(server.state)


@in_loop
async def test_everything_killed_at_once_comes_back_on_the_same_port(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port=port) as server:
        left = workers(server)
        async with listening(server.url, **LIVE) as line:
            await line.say()
            await line.send("response.create")
            await line.until("response.output_audio.delta")
            for process in (server.process, *left):
                os.kill(process.pid, signal.SIGKILL)
            await closing(line)
        server.process.wait()
        assert not psutil.wait_procs(left, timeout=5)[1]
    with serving(tmp_path, model=tmp_path / "bundle", port=port) as server:
        await assert_answers(server)
        wait_until_empty(server)
        assert_whole(server.state)
