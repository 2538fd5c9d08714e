"""Looks at recorded traffic: drift that is put in is found, other windows raise no alarm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.monitoring import reference_values, watched_until
from moss_speech.params.monitor import Monitor
from moss_speech.registry.monitoring import RECORDINGS, Watch, watch
from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.settings import settings
from tests.monitoring.recorded import GERMAN, How, record

P = Monitor(
    days=7,
    max_turns=100,
    max_turns_per_session=1,
    min_turns=14,
    reference_turns=20,
    false_alarms=0.05,
    min_shift=0.2,
    canary=None,
    canary_floor=0.7,
    retrain=False,
)
MONDAY = datetime(2026, 5, 4, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def look(root: Path, day: int, n: int = 0, how: How | None = None, anew: bool = False) -> Watch:
    """Record a day's turns and look in its evening."""
    if n:
        record(root / RECORDINGS, n, MONDAY + day * DAY, how or How(), seed=day)
    return watch(root, P, 1, MONDAY + (day + 0.5) * DAY, new_reference=anew)


@pytest.mark.slow
def test_drift_is_found_and_only_where_it_is(store: Path) -> None:
    assert str(look(store, 0, 24)) == "no alarm"
    calm = look(store, 1, 14)
    assert calm.alarms == ()
    assert "no drift" in calm.page.read_text()

    quiet = look(store, 2, 14, How(gain_db=-12))
    assert "heard_lufs" in {alarm.figure for alarm in quiet.alarms}
    assert not [alarm for alarm in quiet.alarms if alarm.figure.startswith("said")]
    assert quiet.begun == quiet.alarms
    still_quiet = look(store, 3, 14, How(gain_db=-12))
    assert "heard_lufs" in {alarm.figure for alarm in still_quiet.alarms}
    assert "heard_lufs" not in {alarm.figure for alarm in still_quiet.begun}

    german = look(store, 4, 14, How(texts=GERMAN, voices=("de+f2", "de+m3", "de")))
    assert "heard_language" in {alarm.figure for alarm in german.alarms}
    assert not {alarm.figure for alarm in german.alarms} & {"said_s", "said_lufs", "heard_lufs"}

    long = look(store, 5, 14, How(silence_s=3.0))
    assert {"said_s", "said_silence"} <= {alarm.figure for alarm in long.alarms}
    assert not [alarm for alarm in long.alarms if alarm.figure.startswith("heard")]
    page = long.page.read_text()
    assert "**said_s of version 3 went from" in page
    for private in ("sess_", "key_1", "phone", "grass", "green", ".flac"):
        assert private not in page

    runs = tracking_client().search_runs([experiment_id()], "tags.`moss.stage` = 'monitor'")
    assert len(runs) == 6
    assert runs[0].data.metrics["monitor/said_s/distance"] > 0.9


@pytest.mark.slow
def test_few_turns_wait_for_more_and_a_new_model_has_its_own_reference(store: Path) -> None:
    look(store, 0, 20)
    few = look(store, 1, 5)
    assert "too few to compare" in few.page.read_text()
    with catalogue() as session:
        assert watched_until(session) == MONDAY + 0.5 * DAY
    assert "| heard_lufs |  | 15 |" in look(store, 2, 10).page.read_text()
    look(store, 3, 14, How(silence_s=3.0, version="4"))
    with catalogue() as session:
        assert len(reference_values(session, "said_s", "3")) == 20
        assert len(reference_values(session, "said_s", "4")) == 14
        assert len(reference_values(session, "heard_s", "")) == 20


@pytest.mark.slow
def test_new_reference_replaces_the_old_one(store: Path) -> None:
    look(store, 0, 20)
    assert look(store, 1, 20, How(gain_db=-12), anew=True).alarms == ()
    assert look(store, 2, 14, How(gain_db=-12)).alarms == ()
    assert "heard_lufs" in {alarm.figure for alarm in look(store, 3, 14).alarms}


def test_what_should_be_deleted_is_not_looked_at(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOSS_RECORD_DAYS", "1")
    settings.cache_clear()
    record(store / RECORDINGS, 3, MONDAY, How(), seed=1)
    page = watch(store, P, 1, MONDAY + 2 * DAY).page.read_text()
    assert "No recorded turns" in page


def test_look_at_nothing_says_so(store: Path) -> None:
    found = look(store, 0)
    assert "No recorded turns and no canaries." in found.page.read_text()
    assert "monitor.canary is null" in found.page.read_text()
