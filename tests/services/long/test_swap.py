"""The champion changes while people talk: a real registry, real promotions, a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.registry.promotion import champion, rollback
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.versions import CHAMPION, bundle_of, register_candidate
from moss_speech.settings import settings
from moss_speech.storage import write_bytes
from tests.poison import change_first_tensor, with_nan
from tests.registry.candidates import make_candidate, promote
from tests.services.conftest import Server, serving
from tests.services.long.seen import assert_calm, figure, wait_for, wait_until_empty
from tests.services.long.talkers import Listener, Playback, coming_in, listening, turned_away
from tests.services.realtime.line import LONG, in_loop
from tests.tiny_bundle import tiny_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
N_TALKERS = 3
SWAP_S = 120


@pytest.fixture
def root(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project root with version 1 promoted."""
    release(store, "first")
    return store


def register(root: Path, *voices: str, poisoned: bool = False) -> int:
    """A new version; it differs by its voices."""
    bundle = tiny_bundle(root / "tiny" / "-".join(voices), voices)
    if poisoned:
        change_first_tensor(bundle, "codec/flow/model.safetensors", with_nan)
    return register_candidate(replace(make_candidate("-".join(voices)), bundle=bundle))


def release(root: Path, *voices: str, poisoned: bool = False) -> None:
    """Register a new version and promote it."""
    version = register(root, *voices, poisoned=poisoned)
    assert promote(version, "anna").result == "committed"


@contextlib.contextmanager
def following(root: Path, swap: str) -> Iterator[Server]:
    """A server that looks for a new champion every second."""
    with serving(
        root, f"models:/{MODEL}@{CHAMPION}", follow_s="1", swap=swap, sessions_per_key="1000",
        root=str(root), state_folder=str(settings().state),
    ) as server:  # fmt: skip
        yield server


def served(server: Server) -> str:
    """The version that new conversations get, by the list of models."""
    answer = httpx.get(f"{server.url}/v1/models", timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"][0]["version"])


def version_of(response: dict[str, Any]) -> str:
    return str(response["metadata"]["moss.version"])


class Talker:
    """Asks until it is told to leave; every answer must come from one version, in time."""

    def __init__(self, line: Listener) -> None:
        self._line, self._may_leave = line, asyncio.Event()
        self.versions: list[str] = []
        self._talking = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        while not self._may_leave.is_set():
            response = await self._line.ask()
            assert response["status"] in ("completed", "incomplete"), response
            self.versions.append(version_of(response))

    def stop(self) -> None:
        """Say no more, whatever is under way."""
        self._talking.cancel()

    async def leave(self) -> Playback:
        self._may_leave.set()
        await self._talking
        return self._line.playback


@asynccontextmanager
async def talkers(server: Server) -> AsyncIterator[list[Talker]]:
    async with contextlib.AsyncExitStack() as lines:
        opened = [
            await lines.enter_async_context(listening(server.url, max_output_tokens=LONG // 10))
            for _ in range(N_TALKERS)
        ]
        there = [Talker(line) for line in opened]
        try:
            yield there
        finally:
            for talker in there:
                talker.stop()


async def until(server: Server, version: str) -> None:
    """Wait in the background, as the talkers must go on."""
    await asyncio.to_thread(
        wait_for, lambda: served(server) == version, SWAP_S, f"version {version} is served"
    )


async def answer_of(server: Server) -> str:
    """The version that answers a new session."""
    async with coming_in(server.url) as line:
        return version_of(await line.ask())


def heard_by(players: list[Playback]) -> Playback:
    whole = Playback()
    for player in players:
        whole.add(player)
    return whole


async def leave_all(there: list[Talker], version: str) -> Playback:
    """Everybody's answers came from one version; what they heard of it."""
    played = heard_by([await talker.leave() for talker in there])
    answers = [v for talker in there for v in talker.versions]
    print(
        f"{len(there)} talkers: {len(answers)} answers by version {set(answers)}; "
        f"{played.underruns} of {played.pieces} pieces came too late (worst {played.late_s:.2f} s)"
    )
    assert set(answers) == {version}
    assert all(talker.versions for talker in there)
    return played


def test_new_sessions_get_the_new_champion_beside_the_old_one(root: Path) -> None:
    @in_loop
    async def live(server: Server) -> None:
        async with talkers(server) as there:
            await asyncio.to_thread(release, root, "first", "second")
            await until(server, "2")
            assert await answer_of(server) == "2"
            played = await leave_all(there, "1")
        assert played.underruns == 0
        assert figure(server, "moss_model_workers", version="2") == 1
        assert figure(server, "moss_model_workers", version="1") == 0
        rollback("anna")
        await until(server, "1")
        assert await answer_of(server) == "1"

    with following(root, "beside") as server:
        live(server)
        wait_until_empty(server)
        assert_calm(server)


def test_new_sessions_wait_while_the_old_champion_drains(root: Path) -> None:
    @in_loop
    async def live(server: Server) -> None:
        async with talkers(server) as there:
            await asyncio.to_thread(release, root, "first", "second")
            await asyncio.to_thread(
                wait_for,
                lambda: figure(server, "moss_swap_workers", state="draining") == 1,
                SWAP_S,
                "the swap has begun",
            )
            with pytest.raises(InvalidStatus) as refusal:
                await answer_of(server)
            away = turned_away(refusal.value)
            assert (away.status, away.code) == (503, "model_swap")
            assert away.retry_after_s >= 1
            waiting = asyncio.create_task(answer_of(server))
            played = await leave_all(there, "1")
        assert played.underruns == 0
        try:
            assert await waiting == "2", "who waits gets the new version"
        except InvalidStatus as refused:  # it took longer than one waits
            assert turned_away(refused).code == "model_swap"
        await until(server, "2")
        assert await answer_of(server) == "2"

    with following(root, "drain") as server:
        live(server)
        wait_until_empty(server)
        assert_calm(server)


def test_what_nobody_approved_and_what_cannot_be_loaded_is_not_served(root: Path) -> None:
    @in_loop
    async def live(server: Server) -> None:
        register(root, "first", "second")
        client = tracking_client()
        client.set_registered_model_alias(MODEL, CHAMPION, "2")  # an edit in the registry's page
        await asyncio.sleep(4)
        assert served(server) == "1"
        with catalogue() as session:
            damaged = bundle_of(find_version(session, 2)) / "lm" / "model.safetensors"
        write_bytes(damaged, damaged.read_bytes()[:-1] + b"x")
        assert promote(2, "anna").result == "refused"
        release(root, "third", poisoned=True)
        await asyncio.to_thread(
            wait_for,
            lambda: figure(server, "moss_swap_workers", state="failed") == 1,
            SWAP_S,
            "the swap has failed",
        )
        assert served(server) == "1"
        assert await answer_of(server) == "1"
        rollback("anna")
        now = champion()
        assert now is not None and now.version == 1

    with following(root, "drain") as server:
        live(server)
        wait_until_empty(server)
        log = server.log.read_text()
        assert "version 3 could not be loaded; the one before goes on" in log
