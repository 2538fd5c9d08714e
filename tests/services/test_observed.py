"""A real server as operators see it: figures, dashboard, alerts, log, traces of a conversation."""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.services.collector import Collector, attributes, collecting
from tests.services.conftest import free_port, start, stop
from tests.services.promql import Served, faults, served_by, used_by
from tests.services.test_chat import SPOKEN, ask_aloud, file_of
from tests.tiny_bundle import spoken, tiny_bundle

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
QUESTION = "what color is the grass"
KEY = "ms-0123456789abcdefghijklmnop"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BEGINS_S = 180


@dataclass(frozen=True)
class Seen:
    """What a server showed of one spoken and one refused question."""

    exposed: str
    log: str
    collector: Collector
    request_id: str
    sound: str


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + BEGINS_S
    while True:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def converse(url: str) -> tuple[str, str]:
    """Ask aloud, ask for a voice that there is not; the first answer's request id and sound."""
    headers = {"authorization": f"Bearer {KEY}", "traceparent": CALLER}
    asked = {"model": "moss-speech", "messages": ask_aloud(file_of(spoken(QUESTION))), "seed": 1}
    post = f"{url}/v1/chat/completions"
    answer = httpx.post(post, json=asked | SPOKEN, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    text = {"model": "moss-speech", "messages": [{"role": "user", "content": QUESTION}]}
    assert httpx.post(post, json=text | {"seed": 1}, timeout=120).status_code == 200
    wrong = asked | {"modalities": ["text", "audio"], "audio": {"voice": "no", "format": "wav"}}
    assert httpx.post(post, json=wrong, timeout=60).status_code == 400
    return answer.headers["x-request-id"], answer.json()["choices"][0]["message"]["audio"]["data"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder, port = tmp_path_factory.mktemp("observed"), free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOSS_LOGS", "json")
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        process = start(str(tiny_bundle(folder)), log, folder / "state", port)
        try:
            wait_until_ready(url, process, log)
            request_id, sound = converse(url)
            exposed = httpx.get(f"{url}/metrics", timeout=10).text
        finally:
            stop(process)
    yield Seen(exposed, log.read_text(), collector, request_id, sound)


@pytest.fixture(scope="module")
def served(seen: Seen) -> Served:
    return served_by(seen.exposed)


def panels() -> list[tuple[str, str, str]]:
    """Title, query and legend of everything that the dashboard draws."""
    dashboard = json.loads((INFRA / "grafana" / "dashboard.json").read_text())
    return [
        (panel["title"], target["expr"], target["legendFormat"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def alerts() -> list[dict[str, Any]]:
    content = yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_every_query_of_the_dashboard_is_served(served: Served) -> None:
    drawn = panels()
    assert len(drawn) > 20
    found = {f"{title}: {query}": faults(query, served) for title, query, _ in drawn}
    assert {query: fault for query, fault in found.items() if fault} == {}


def test_every_legend_is_a_label_that_its_query_groups_by() -> None:
    for title, query, legend in panels():
        assert set(re.findall(r"{{(\w+)}}", legend)) <= used_by(query).groups, title


def test_every_figure_that_is_served_is_drawn_or_alerted(served: Served) -> None:
    queries = [query for _, query, _ in panels()] + [alert["expr"] for alert in alerts()]
    used = {selector.metric for query in queries for selector in used_by(query).selectors}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in served}
    drawn = {re.sub("_(bucket|count|sum)$", "", name) for name in used}
    assert {name for name in families if name.startswith("moss_")} - drawn == set()


def test_every_alert_is_served_and_has_its_section_in_the_runbook(served: Served) -> None:
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs/guides/operate.md").read_text(), re.M)
    assert {a["alert"] for a in alerts()} == set(sections)
    for alert in alerts():
        assert faults(alert["expr"], served) == []
        anchor = f"docs/guides/operate.md#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook"] == anchor


def test_the_conversation_is_in_the_figures(seen: Seen) -> None:
    figures = dict(re.findall(r"^(moss_\S+) (\S+)$", seen.exposed, re.M))
    assert float(figures["moss_first_audio_seconds_count"]) == 1
    assert float(figures["moss_first_text_seconds_count"]) == 1
    assert float(figures["moss_spoken_seconds_total"]) > 0
    assert 1 < float(figures["moss_heard_seconds_total"]) < 3
    assert float(figures["moss_sessions"]) == float(figures["moss_waiting"]) == 0
    assert float(figures["moss_session_state_bytes"]) > 0
    assert float(figures['moss_engine_step_seconds_count{kind="think"}']) > 0
    assert float(figures['moss_engine_step_seconds_count{kind="speak"}']) > 0
    assert float(figures["moss_event_loop_lag_seconds_count"]) > 0
    assert 'route="/v1/chat/completions",status="400"' in seen.exposed
    assert "python_gc" not in seen.exposed


def test_the_log_is_json_names_the_request_and_tells_nothing_else(seen: Seen) -> None:
    lines = [json.loads(line) for line in seen.log.splitlines()]
    assert all({"time", "level", "logger", "process", "message"} <= one.keys() for one in lines)
    assert {"bentoml.access", "bentoml.serve", "services.watch"} <= {one["logger"] for one in lines}
    answered = [one for one in lines if one["message"] == "answered"]
    assert [one["output"] for one in answered] == ["audio", "text"]
    assert answered[0]["request"] == seen.request_id
    assert answered[0]["trace"] == CALLER[3:35]
    assert answered[0]["audio_ms"] > 0
    assert any(
        one["logger"] == "bentoml.access" and one.get("request") == seen.request_id for one in lines
    )
    for secret in (KEY, KEY[3:], QUESTION, "grass", seen.sound[1000:1040]):
        assert secret not in seen.log


def test_the_turn_is_in_the_callers_trace_without_sound_or_text(seen: Seen) -> None:
    spoken_turn, written_turn = seen.collector.turns()
    assert spoken_turn.trace_id.hex() == CALLER[3:35]
    assert spoken_turn.parent_span_id.hex() == CALLER[36:52]
    assert attributes(spoken_turn)["request_id"] == seen.request_id
    parts = seen.collector.inside(spoken_turn)
    assert parts.keys() == {"hear", "read", "first audio", "respond"}
    assert 1000 < attributes(parts["hear"])["audio_ms"] < 3000
    ends = [parts[n].end_time_unix_nano for n in ("hear", "read", "first audio", "respond")]
    assert ends == sorted(ends)
    assert seen.collector.inside(written_turn).keys() == {"read", "first text", "respond"}
    sent = b"".join(seen.collector.bodies)
    sound = base64.b64decode(seen.sound)
    for secret in (QUESTION.encode(), b"grass", KEY.encode(), sound[1000:1040]):
        assert secret not in sent


def promtool() -> str:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("no promtool is installed")
    return program


def test_prometheus_accepts_its_configuration_and_the_alerts_do_what_they_say() -> None:
    folder = INFRA / "prometheus"
    for command in (
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run([promtool(), *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_figures(seen: Seen) -> None:
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=seen.exposed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
