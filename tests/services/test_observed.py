"""A real server as operators see it: figures, dashboard, alerts, log, traces of a conversation."""

import base64
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import yaml

from tests.services.collector import Collector, attributes, collecting
from tests.services.conftest import serving
from tests.services.promql import Served, faults, served_by, used_by
from tests.services.test_chat import SPOKEN, ask_aloud, file_of
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
QUESTION = "what color is the grass"
KEY = "ms-0123456789abcdefghijklmnop"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Seen:
    """What a server of two workers showed of two answers, a refusal and a live conversation."""

    exposed: str
    log: str
    collector: Collector
    request_id: str
    sound: str


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


def talk(url: str) -> None:
    """One turn of a live conversation."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    with client.realtime.connect(model="moss-speech") as connection:
        content: Any = [{"type": "input_text", "text": QUESTION}]
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        connection.response.create()
        for event in connection:
            if event.type == "response.done":
                return


def settled(url: str) -> str:
    """The figures once both workers are ready and no conversation is left."""
    deadline = time.monotonic() + 60
    while True:
        exposed = httpx.get(f"{url}/metrics", timeout=10).text
        both = re.search(r"^moss_model_workers{.*} 2.0$", exposed, re.M)
        if both and "\nmoss_sessions 0.0\n" in exposed:
            return exposed
        assert time.monotonic() < deadline, exposed
        time.sleep(0.2)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder, how = tmp_path_factory.mktemp("observed"), {"logs": "json", "workers": "2"}
    with collecting() as collector:
        with serving(folder, otlp_endpoint=collector.url, **how) as server:
            request_id, sound = converse(server.url)
            talk(server.url)
            exposed = settled(server.url)
        return Seen(exposed, server.log.read_text(), collector, request_id, sound)


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


def test_the_reference_lists_what_is_served(served: Served) -> None:
    text = (ROOT / "docs" / "reference" / "serving.md").read_text()
    listed = dict(re.findall(r"`(moss_\w+)(?:{([\w,]+)})?`", text))
    found = {re.sub("_(bucket|count|sum)$", "", name): labels for name, labels in served.items()}
    assert listed.keys() == found.keys()
    for name, labels in found.items():
        assert {label for one in labels for label in one} - {"le"} == {
            label for label in listed[name].split(",") if label
        }, name


def test_every_alert_is_served_and_has_its_section_in_the_runbook(served: Served) -> None:
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs/guides/operate.md").read_text(), re.M)
    assert {a["alert"] for a in alerts()} == set(sections)
    for alert in alerts():
        assert faults(alert["expr"], served) == []
        anchor = f"docs/guides/operate.md#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook"] == anchor


def test_the_conversation_is_in_the_figures(seen: Seen) -> None:
    figures = dict(re.findall(r"^(moss_\S+) (\S+)$", seen.exposed, re.M))
    assert float(figures["moss_first_audio_seconds_count"]) == 2
    assert float(figures["moss_first_text_seconds_count"]) == 1
    assert float(figures["moss_spoken_seconds_total"]) > 0
    assert 1 < float(figures["moss_heard_seconds_total"]) < 3
    assert float(figures["moss_sessions"]) == float(figures["moss_waiting"]) == 0
    assert float(figures["moss_session_state_bytes"]) > 0
    assert float(figures['moss_engine_step_seconds_count{kind="think"}']) > 0
    assert float(figures['moss_engine_step_seconds_count{kind="speak"}']) > 0
    assert float(figures["moss_event_loop_lag_seconds_count"]) > 0
    assert 'route="/v1/chat/completions",status="400"' in seen.exposed
    assert 'method="WS",route="/v1/realtime",status="101"' in seen.exposed


def test_the_log_is_json_names_the_request_and_tells_nothing_else(seen: Seen) -> None:
    lines = [json.loads(line) for line in seen.log.splitlines()]
    assert all({"time", "level", "logger", "process", "message"} <= one.keys() for one in lines)
    assert {"bentoml.access", "bentoml.serve", "services.watch"} <= {one["logger"] for one in lines}
    answered = [one for one in lines if one["message"] == "answered"]
    assert [one["output"] for one in answered] == ["audio", "text", "audio"]
    assert answered[2]["session"].startswith("sess_")
    assert answered[2]["response"].startswith("resp_")
    assert answered[0]["request"] == seen.request_id
    assert answered[0]["response"].startswith("chatcmpl-")
    assert answered[0]["trace"] == CALLER[3:35]
    assert answered[0]["audio_ms"] > 0
    assert any(
        one["logger"] == "bentoml.access" and one.get("request") == seen.request_id for one in lines
    )
    for secret in (KEY, KEY[3:], QUESTION, "grass", seen.sound[1000:1040]):
        assert secret not in seen.log


def test_the_turn_is_in_the_callers_trace_without_sound_or_text(seen: Seen) -> None:
    turns = sorted(seen.collector.turns(), key=lambda turn: turn.start_time_unix_nano)
    spoken_turn, written_turn, live_turn = turns
    assert attributes(live_turn)["session_id"].startswith("sess_")
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
