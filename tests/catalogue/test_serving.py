"""What workers of a service share: keys, live sessions, spendings, answers, on both databases."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from hypothesis import HealthCheck, given
from hypothesis import settings as fast
from hypothesis import strategies as some
from sqlalchemy import func, inspect, select, text

from moss_speech.catalogue import keys, spoken
from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.database import catalogue, migration_config, open_catalogue, transact
from moss_speech.catalogue.keys import Grant
from moss_speech.catalogue.limits import LEASE_S, free_place, see_places, spend, take_place
from moss_speech.catalogue.serving_tables import Answer, ApiKey
from moss_speech.catalogue.spoken import find_answer, keep_answer

SPAWN = multiprocessing.get_context("spawn")
NOON = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
GRANT = Grant(("chat", "realtime"), 2, 10, 1000)
SERVING = {"api_keys", "leases", "spendings", "answers"}


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_migration_of_the_service_keeps_what_the_platform_remembers(catalogue_url: str) -> None:
    engine, config = open_catalogue(catalogue_url).kw["bind"], migration_config()
    with catalogue() as session:
        record_dataset(session, "d" * 64, [SourceFacts("v", "CC0-1.0", "own", 1)],
                       [VerdictFacts("a", "espeak:f1", True)])  # fmt: skip
        keys.add_key(session, "phone", GRANT)
        take_place(session, "phone", 1, NOON)
        spend(session, "phone", 1, 1, NOON)
        keep_answer(session, "audio_1", b"\x01\x00", later(60), NOON)
    for step, there in ((command.downgrade, False), (command.upgrade, True)):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            step(config, "0001" if not there else "0002")
        assert (set(inspect(engine).get_table_names()) >= SERVING) is there
        with catalogue() as session:
            assert find_dataset(session, "d" * 64) is not None
    with catalogue() as session:
        assert keys.all_keys(session) == []


def test_key_is_found_by_itself_and_never_stored(catalogue_url: str) -> None:
    with catalogue() as session:
        key = keys.add_key(session, "phone", GRANT)
    assert key.startswith("ms-")
    assert len(key) == 3 + 43  # 256 bits in base64
    with catalogue() as session:
        row = keys.find_key(session, key)
        assert row is not None
        assert (row.name, row.scopes, row.sessions) == ("phone", ["chat", "realtime"], 2)
        assert keys.key_by_id(session, row.id) is row
        assert keys.find_key(session, key[:-1]) is None
        assert keys.find_key(session, row.digest) is None
        stored = session.execute(text("SELECT * FROM api_keys")).one()
    assert key not in str(stored)
    assert key.removeprefix("ms-") not in str(stored)


def test_name_of_a_key_is_never_used_again(catalogue_url: str) -> None:
    with catalogue() as session:
        keys.add_key(session, "phone", GRANT)
        with pytest.raises(ValueError, match="'phone' exists or existed"):
            keys.add_key(session, "phone", GRANT)
        keys.revoke_key(session, "phone")
        with pytest.raises(ValueError, match="no key 'phone' in use; there are none"):
            keys.revoke_key(session, "phone")
        with pytest.raises(ValueError, match="exists or existed"):
            keys.add_key(session, "phone", GRANT)


@pytest.mark.parametrize(
    ("expires_s", "revoked", "usable"),
    [(None, False, True), (1, False, True), (0, False, False), (None, True, False)],
)
def test_key_ends_when_it_is_revoked_or_its_time_comes(
    expires_s: float | None, revoked: bool, usable: bool
) -> None:
    row = ApiKey(
        expires_at=None if expires_s is None else later(expires_s),
        revoked_at=later(-1) if revoked else None,
    )
    assert keys.is_usable(row, NOON) is usable


def test_places_are_taken_until_freed_or_not_seen_for_the_lease(catalogue_url: str) -> None:
    with catalogue() as session:
        first = take_place(session, "phone", 2, NOON)
        second = take_place(session, "phone", 2, NOON)
        assert first is not None
        assert second is not None
        assert take_place(session, "phone", 2, NOON) is None
        assert take_place(session, "other", 2, NOON) is not None
        free_place(session, first)
        assert take_place(session, "phone", 2, NOON) is not None
        see_places(session, [second], later(LEASE_S))
        assert take_place(session, "phone", 2, later(LEASE_S)) is None
        assert take_place(session, "phone", 2, later(LEASE_S + 1)) is not None
        assert take_place(session, "phone", 2, later(LEASE_S + 1)) is None


def _grab(
    url: str, n_tries: int, barrier: threading.Barrier, queue: "multiprocessing.Queue[int]"
) -> None:
    open_catalogue(url)
    barrier.wait(60)  # all at once, or there is no race
    leases = [transact(url, lambda s: take_place(s, "phone", 5, NOON)) for _ in range(n_tries)]
    queue.put(sum(lease is not None for lease in leases))


def test_processes_together_never_take_more_places_than_there_are(catalogue_url: str) -> None:
    open_catalogue(catalogue_url)
    queue: multiprocessing.Queue[int] = SPAWN.Queue()
    barrier = SPAWN.Barrier(3)
    arguments = (catalogue_url, 5, barrier, queue)
    workers = [SPAWN.Process(target=_grab, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(taken) == 5


def test_threads_together_count_every_request(catalogue_url: str) -> None:
    open_catalogue(catalogue_url)
    with ThreadPoolExecutor(6) as many:
        work = [many.submit(transact, catalogue_url, lambda s: spend(s, "phone", 1, 3, NOON))
                for _ in range(60)]  # fmt: skip
    assert sorted(job.result().requests for job in work) == list(range(1, 61))
    last = transact(catalogue_url, lambda s: spend(s, "phone", 0, 0, NOON))
    assert (last.requests, last.tokens) == (60, 180)


Calls = some.lists(
    some.tuples(some.sampled_from("ab"), some.integers(0, 3), some.integers(0, 90),
                some.integers(0, 70_000)), max_size=12,
)  # fmt: skip


@fast(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Calls)
def test_spendings_are_the_sums_of_the_minute(
    catalogue_url: str, calls: list[tuple[str, int, int, int]]
) -> None:
    seconds = 0.0
    book: dict[tuple[str, int], tuple[int, int]] = {}
    with catalogue() as session:
        session.execute(text("DELETE FROM spendings"))
        for caller, requests, tokens, pause_ms in calls:
            seconds = round(seconds + pause_ms / 1000, 3)
            known = book.get((caller, int(seconds // 60)), (0, 0))
            sums = known[0] + requests, known[1] + tokens
            book[caller, int(seconds // 60)] = sums
            spent = spend(session, caller, requests, tokens, later(seconds))
            assert (spent.requests, spent.tokens) == sums
            assert spent.reset_s == pytest.approx(60 - seconds % 60)


def test_late_count_of_a_slow_worker_is_added_to_the_new_minute(catalogue_url: str) -> None:
    with catalogue() as session:
        spend(session, "phone", 5, 0, later(59))
        assert spend(session, "phone", 1, 0, later(61)).requests == 1
        assert spend(session, "phone", 1, 0, later(59)).requests == 2


def test_answers_expire_and_only_the_newest_are_kept(
    catalogue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken, "MAX_ANSWERS", 3)
    with catalogue() as session:
        for i in range(5):
            keep_answer(session, f"audio_{i}", bytes([i]), later(100 + i), NOON)
        assert session.scalar(select(func.count()).select_from(Answer)) == 3
        assert find_answer(session, "audio_1", NOON) is None
        found = find_answer(session, "audio_4", later(103.9))
        assert found is not None
        assert found.codes == b"\x04"
        assert find_answer(session, "audio_4", later(104)) is None
        keep_answer(session, "audio_5", b"", later(200), later(150))
        assert session.scalar(select(func.count()).select_from(Answer)) == 1
