"""Who is let in and how much of it, as two workers of one service see it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from starlette.requests import HTTPConnection

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.keys import Grant, add_key, revoke_key
from moss_speech.catalogue.limits import take_place
from moss_speech.catalogue.serving_tables import Lease
from moss_speech.settings import settings
from services.access import Access, Caller, sessions
from services.answers import Answers
from services.errors import ApiError
from services.transactions import Transactions

ROOMY = Grant(("realtime", "chat", "secrets"), 2, 1000, 1000)


def connection(token: str | None = None, subprotocols: Sequence[str] = ()) -> HTTPConnection:
    sent = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    return HTTPConnection({"type": "http", "headers": sent, "subprotocols": list(subprotocols)})


def make_key(name: str = "phone", grant: Grant = ROOMY) -> str:
    with catalogue() as session:
        return add_key(session, name, grant)


@asynccontextmanager
async def workers(**more: Any) -> AsyncIterator[tuple[Access, Access]]:
    """Two accesses that share a catalogue and a signing key, each with threads of its own."""
    chosen = settings().model_copy(update={"auth": "keys"} | more)
    transactions = [Transactions(chosen.catalogue_url) for _ in range(2)]
    yield Access(chosen, transactions[0]), Access(chosen, transactions[1])
    for each in transactions:
        each.close()


async def refused(doing: Awaitable[Any], status: int, code: str) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        await doing
    assert (refusal.value.status, refusal.value.code) == (status, code)
    return refusal.value


@pytest.fixture
def run(catalogue_url: str) -> Iterator[Callable[[Any], Any]]:
    yield lambda doing: asyncio.run(asyncio.wait_for(doing, 60))


def test_only_a_key_in_use_with_the_scope_is_let_in(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        key = make_key()
        expired = make_key("old", Grant(("chat",), 1, 1, 1, datetime.now(UTC)))
        async with workers() as (one, two):
            caller = await one.caller(connection(key), "chat")
            assert (caller.name, caller.limits.sessions) == ("phone", 2)
            assert caller.scopes == {"realtime", "chat", "secrets"}
            browser = connection(None, ["realtime", f"openai-insecure-api-key.{key}"])
            assert (await two.caller(browser, "realtime")).id == caller.id
            await refused(one.caller(connection(), "chat"), 401, "missing_api_key")
            for wrong in (key + "x", "unused", "ms-", "x" * 10_000, expired):
                await refused(one.caller(connection(wrong), "chat"), 401, "invalid_api_key")
            error = await refused(one.caller(connection(key), "speech"), 403, "insufficient_scope")
            assert error.kind == "permission_error"
            with catalogue() as session:
                revoke_key(session, "phone")
            await refused(two.caller(connection(key), "chat"), 401, "invalid_api_key")
            await refused(two.request(caller), 401, "invalid_api_key")

    run(doing())


def test_open_service_lets_everybody_in_and_counts_them_together(
    run: Callable[[Any], Any],
) -> None:
    async def doing() -> None:
        async with workers(auth="open", requests_per_minute=1000) as (one, two):
            anybody = await one.caller(connection(), "models")
            await _wait_for_a_minute_with_room(one, anybody)
            before = (await one.remaining(anybody))[0].remaining
            callers = [
                await one.caller(connection(), "chat"),
                await two.caller(connection("unused"), "secrets"),
            ]
            assert [c.name for c in callers] == ["anonymous"] * 2
            requests, tokens = await two.remaining(anybody)
            assert (requests.remaining, tokens.remaining) == (before - 2, 1_000_000)

    run(doing())


def test_secret_opens_live_sessions_of_its_key_and_nothing_else(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        key, session, later = make_key(), {"type": "realtime", "voice": "ann"}, 2**40
        async with workers() as (one, two):
            owner = await one.caller(connection(key), "secrets")
            secret = one.issue(owner, session, later)
            page = await two.caller(connection(secret), "realtime")
            assert (page.id, page.session, page.limits) == (owner.id, session, owner.limits)
            await refused(two.caller(connection(secret), "chat"), 403, "insufficient_scope")
            await refused(two.caller(connection(secret), "secrets"), 403, "insufficient_scope")
            nobody = Caller("anonymous", "anonymous", owner.scopes, owner.limits)
            of_nobody = connection(one.issue(nobody, {}, later))
            await refused(two.caller(of_nobody, "realtime"), 401, "invalid_api_key")
            with catalogue() as database:
                revoke_key(database, "phone")
            await refused(two.caller(connection(secret), "realtime"), 401, "invalid_api_key")

    run(doing())


def test_secret_of_an_open_service_binds_settings(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        async with workers(auth="open") as (one, two):
            anybody = await one.caller(connection(), "secrets")
            secret = one.issue(anybody, {"voice": "ann"}, 2**40)
            page = await two.caller(connection(secret), "realtime")
            assert (page.name, page.session) == ("anonymous", {"voice": "ann"})
            wrong = connection(secret[:-2])
            await refused(two.caller(wrong, "realtime"), 401, "invalid_client_secret")

    run(doing())


async def _wait_for_a_minute_with_room(access: Access, caller: Caller) -> None:
    """Fixed minutes: what follows must not be cut by the end of one."""
    while (await access.remaining(caller))[0].reset_s < 5:
        await asyncio.sleep(0.5)


def test_requests_and_tokens_of_both_workers_count(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        few = make_key("few", Grant(("chat",), 1, 4, 1000))
        short = make_key("short", Grant(("chat",), 1, 1000, 50))
        async with workers() as (one, two):
            caller = await one.caller(connection(short), "chat")
            await _wait_for_a_minute_with_room(one, caller)
            await one.spend(caller, 30)
            await two.caller(connection(short), "chat")
            await two.spend(caller, 30)  # an answer that began within the limit may end above it
            for access in (one, two):
                where = connection(short)
                error = await refused(access.caller(where, "chat"), 429, "rate_limit_exceeded")
                assert error.kind == "rate_limit_error"
                assert error.retry_after_s is not None
                assert 0 < error.retry_after_s <= 60
                assert where.state.rate_limits[1].remaining == 0
            await refused(one.request(caller), 429, "rate_limit_exceeded")
            for access in (one, two, one, two):
                await access.caller(connection(few), "chat")
            await refused(one.caller(connection(few), "chat"), 429, "rate_limit_exceeded")

    run(doing())


def test_live_sessions_of_both_workers_count_until_they_end(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        async with workers() as (one, two):
            caller = await one.caller(connection(make_key()), "realtime")
            async with one.admit(caller), two.admit(caller):
                error = await refused(one.admit(caller).__aenter__(), 429, "rate_limit_exceeded")
                assert "2 live sessions, which is the limit" in str(error)
            async with two.admit(caller), two.admit(caller):
                pass
        with catalogue() as session:
            assert session.scalars(select(Lease)).all() == []

    run(doing())


def test_cancelled_session_gives_its_place_back(run: Callable[[Any], Any]) -> None:
    async def hold(access: Access, caller: Caller, held: asyncio.Event) -> None:
        async with access.admit(caller):
            held.set()
            await asyncio.Event().wait()

    async def doing() -> None:
        async with workers() as (one, _):
            caller = await one.caller(connection(make_key()), "realtime")
            held = asyncio.Event()
            task = asyncio.create_task(hold(one, caller, held))
            await held.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        with catalogue() as session:
            assert session.scalars(select(Lease)).all() == []

    run(doing())


def test_live_session_is_seen_and_one_of_a_killed_worker_is_not(
    run: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "BEAT_S", 0.05)

    async def doing() -> None:
        async with workers() as (one, two):
            caller = await one.caller(connection(make_key()), "realtime")
            ago = datetime.now(UTC) - timedelta(seconds=29)
            with catalogue() as session:  # of a worker that was killed 29 s ago
                assert take_place(session, caller.id, 2, ago) is not None
            async with one.admit(caller):
                await refused(two.admit(caller).__aenter__(), 429, "rate_limit_exceeded")
                with catalogue() as session:
                    session.execute(update(Lease).values(seen_at=ago))
                await asyncio.sleep(1.5)
                async with two.admit(caller):
                    await refused(one.admit(caller).__aenter__(), 429, "rate_limit_exceeded")

    run(doing())


def test_answers_of_one_worker_are_known_to_the_other(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        one, two = (Transactions(settings().catalogue_url) for _ in range(2))
        reserved = Answers(one).reserve("c" * 64)
        await Answers(one).keep(reserved, (0, 1, 16383, 65535))
        found = await Answers(two).find(reserved.id, "c" * 64)
        assert found is not None
        assert (found.codes, found.expires_at) == ((0, 1, 16383, 65535), reserved.expires_at)
        assert await Answers(two).find("audio_0", "c" * 64) is None
        assert await Answers(two).find(reserved.id, "d" * 64) is None
        gone = Answers(one, lifetime_s=0)
        past = gone.reserve("c" * 64)
        await gone.keep(past, (1,))
        assert await gone.find(past.id, "c" * 64) is None
        one.close()
        two.close()

    run(doing())


def test_database_queue_is_bounded_and_the_loop_stays_free(
    run: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.transactions.MAX_WAITING", 3)

    async def doing() -> None:
        import threading

        go, transactions = threading.Event(), Transactions(settings().catalogue_url)
        waiting = [asyncio.create_task(transactions.run(lambda _: go.wait(30))) for _ in range(3)]
        await asyncio.sleep(0)
        error = await refused(transactions.run(lambda _: None), 503, "overloaded")
        assert error.retry_after_s == 1
        go.set()
        await asyncio.gather(*waiting)
        assert await transactions.run(lambda _: 7) == 7
        transactions.close()

    run(doing())


def test_database_that_goes_away_is_a_503_and_is_asked_again(run: Callable[[Any], Any]) -> None:
    async def doing() -> None:
        url = settings().catalogue_url
        fatal = (
            "SELECT pg_terminate_backend(pg_backend_pid())"
            if url.startswith("postgresql")
            else "SELECT * FROM a_table_that_is_not_there"
        )
        transactions = Transactions(url)
        error = await refused(
            transactions.run(lambda session: session.execute(text(fatal))),
            503,
            "database_unavailable",
        )
        assert error.retry_after_s
        assert "SELECT" not in str(error)
        assert await transactions.run(lambda session: session.scalar(select(7))) == 7
        transactions.close()

    run(doing())
