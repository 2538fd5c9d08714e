"""Traces and the log line of a turn: one conversation's events through to a collector."""

import logging
import subprocess
import sys
from contextvars import copy_context
from pathlib import Path
from typing import Unpack

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from moss_speech.inference.turns import (
    AudioDelta,
    Failed,
    Finished,
    Heard,
    Refused,
    Reply,
    SpeechStarted,
    SpeechStopped,
    Timings,
    Usage,
)
from moss_speech.settings import Settings
from services.ids import Ids, bind, bind_traceparent
from services.metrics import Metrics
from services.traces import open_traces
from services.watch import Watch
from tests.services.collector import attributes, collecting

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = CALLER[:-2] + "00"


def reply(samples: int = 48000) -> Reply:
    audio = np.zeros(samples, np.float32)
    timings = Timings(0.0, 0.0001, 0.0002, 0.0003)
    return Reply("", (1, 2), audio, 24000, "stop", Usage(10, 20, 3, 4), timings)


def hold_a_turn(watch: Watch, traceparent: str | None = None, **ids: Unpack[Ids]) -> None:
    """One turn in a task of its own, which belongs to these."""

    def turn() -> None:
        bind(**ids)
        bind_traceparent(traceparent)
        say_and_hear(watch)

    copy_context().run(turn)


def say_and_hear(watch: Watch) -> None:
    for _ in range(3):
        watch.hearing()
    watch.saw(SpeechStarted(100))
    watch.saw(SpeechStopped(900))
    watch.saw(Heard(tuple(range(10)), 100, 800))
    watch.asked("audio")
    watch.saw(AudioDelta(np.zeros(1920, np.float32)))
    watch.hearing()
    watch.saw(Finished(reply()))


def test_a_turn_becomes_a_trace_with_its_parts_inside(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services")
    with collecting() as collector:
        traces = open_traces(Settings(otlp_endpoint=f"{collector.url}/"), "7")
        assert traces is not None
        watch = Watch(Metrics(CollectorRegistry()), traces, "7")
        hold_a_turn(watch, session="sess_1", response="resp_1")
        traces.close()
    (turn,) = collector.turns()
    parts = collector.inside(turn)
    assert parts.keys() == {"hear", "read", "first audio", "respond"}
    assert len(collector.spans) == 5
    about = attributes(turn)
    assert about.items() >= {"session_id": "sess_1", "response_id": "resp_1"}.items()
    assert about.items() >= {"version": "7", "prompt_rows": 30, "reply_rows": 7}.items()
    assert (about["output"], about["finish"], about["audio_ms"]) == ("audio", "stop", 2000)
    assert attributes(parts["hear"]) == {"audio_ms": 800, "codes": 10}
    for part in parts.values():
        assert part.trace_id == turn.trace_id
        assert turn.start_time_unix_nano <= part.start_time_unix_nano
        assert part.start_time_unix_nano <= part.end_time_unix_nano <= turn.end_time_unix_nano
    asked = parts["respond"].start_time_unix_nano
    assert parts["read"].start_time_unix_nano == parts["first audio"].start_time_unix_nano == asked
    assert parts["hear"].end_time_unix_nano <= asked
    (line,) = [r for r in caplog.records if r.getMessage() == "answered"]
    fields = vars(line)["fields"]
    assert fields["trace"] == turn.trace_id.hex()
    assert fields["session"] == "sess_1"


def test_the_callers_own_trace_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        traces = open_traces(Settings(otlp_endpoint=collector.url), "7")
        assert traces is not None
        watch = Watch(Metrics(CollectorRegistry()), traces, "7")
        for header in (CALLER, UNSAMPLED, None):
            hold_a_turn(watch, header)
        traces.close()
    first, last = collector.turns()
    assert first.trace_id.hex() == CALLER[3:35]
    assert first.parent_span_id.hex() == CALLER[36:52]
    assert last.trace_id != first.trace_id
    assert last.parent_span_id == b""
    assert {"service.name": "moss-speech", "service.version": "7"}.items() <= collector.senders[
        0
    ].items()


def test_an_answer_that_nothing_was_heard_for_has_no_such_part() -> None:
    with collecting() as collector:
        traces = open_traces(Settings(otlp_endpoint=collector.url), "7")
        assert traces is not None
        watch = Watch(Metrics(CollectorRegistry()), traces, "7")
        watch.asked("text")
        watch.saw(Finished(reply(0)))
        traces.close()
    (turn,) = collector.turns()
    assert collector.inside(turn).keys() == {"read", "respond"}


def test_a_client_that_leaves_in_the_middle_ends_its_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "services")
    with collecting() as collector:
        traces = open_traces(Settings(otlp_endpoint=collector.url), "7")
        assert traces is not None
        watch = Watch(Metrics(CollectorRegistry()), traces, "7")
        hold_a_turn(watch)
        watch.asked("audio")
        watch.saw(AudioDelta(np.zeros(1920, np.float32)))
        watch.closed()
        watch.closed()
        traces.close()
    whole, left = collector.turns()
    assert [attributes(turn)["finish"] for turn in (whole, left)] == ["stop", "left"]
    assert collector.inside(left).keys() == {"first audio", "respond"}
    assert len([r for r in caplog.records if r.getMessage() == "answered"]) == 2


def test_an_answer_that_is_refused_ends_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services")
    watch = Watch(Metrics(CollectorRegistry()), None, "7")
    watch.asked("audio")
    watch.saw(Refused("hear", "audio_too_long", "the turn would last 31 s"))
    watch.saw(Refused("respond", "empty_text", "a user turn holds no word"))
    watch.closed()
    (told,) = [r for r in caplog.records if r.getMessage() == "answered"]
    assert told.__dict__["fields"]["finish"] == "refused"


def test_figures_are_the_same_without_traces() -> None:
    registry = CollectorRegistry()
    watch = Watch(Metrics(registry), None, "7")
    hold_a_turn(watch)
    watch.saw(Failed("the device is lost"))
    exposed = generate_latest(registry).decode()
    assert "moss_heard_seconds_total 0.8\n" in exposed
    assert "moss_failed_total 1.0\n" in exposed


def test_a_dead_collector_harms_nobody() -> None:
    traces = open_traces(Settings(otlp_endpoint="http://127.0.0.1:9"), "7")
    assert traces is not None
    hold_a_turn(Watch(Metrics(CollectorRegistry()), traces, "7"))
    traces.close()


@pytest.mark.parametrize("name", ["MOSS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_either_variable_sets_the_endpoint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://collector:4318")
    assert Settings().otlp_endpoint == "http://collector:4318"


def test_an_endpoint_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'collector:4318', must begin with http"):
        open_traces(Settings(otlp_endpoint="collector:4318"), "7")


def test_nothing_is_imported_without_an_endpoint() -> None:
    code = (
        "import sys; from moss_speech.settings import Settings; import services.watch;"
        "from services.traces import open_traces; assert open_traces(Settings(), '7') is None;"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
