"""The embedded Prefect server and worker, and the few questions we ask its API."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flows._processes import end_guarded, start_guarded
from moss_speech.params.base import read_yaml
from moss_speech.settings import child_environment, settings
from moss_speech.storage import write_bytes

POOL = "moss-speech"
_OURS = "settings"
"""Slug of the schedules that settings make; others are left alone."""
_READY_WITHIN_S = 180
_ANSWER_WITHIN_S = 120
"""Beside a training, a loaded machine may let a server wait."""


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(api: str, path: str, body: object | None = None, method: str | None = None) -> Any:
    """GET, or POST `body`, as JSON; None for 404, an `OSError` if the server does not answer."""
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{api}/{path}", data, kind, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def prefect_environment(api: str) -> dict[str, str]:
    """The environment of every Prefect program that we start."""
    return child_environment(
        MOSS_ROOT=str(settings().root),
        PREFECT_HOME=str(settings().state / "prefect"),
        PREFECT_API_URL=api,
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_CLI_COLORS="false",
        COLUMNS="240",
    )


def wait_until_ready(what: str, process: subprocess.Popen[str], log: Path, address: str) -> None:
    """Wait until a server answers at `address`; `RuntimeError` with its last lines if it ends."""
    until_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise RuntimeError(f"{what} ended with exit code {process.returncode}:\n{tail}")
        try:
            with urllib.request.urlopen(address, timeout=30):
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.2)
    raise RuntimeError(f"{what} was not ready after {_READY_WITHIN_S} s; its log: {log}")


@contextmanager
def _running(
    what: str, arguments: list[str], api: str, path: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a Prefect program until the block ends; ready when the API answers at `path`."""
    log = settings().state / "prefect" / f"{arguments[0]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        command = [sys.executable, "-m", "prefect", *arguments]
        env = prefect_environment(api)
        process = start_guarded(command, settings().root, env, output)
        try:
            wait_until_ready(what, process, log, f"{api}/{path}")
            yield process
        finally:
            end_guarded(process, grace_s=20)


@contextmanager
def embedded_server(port: int | None = None) -> Iterator[str]:
    """A Prefect server on a loopback port, by default a free one; yields its API's address."""
    port = port or free_port()
    api = f"http://127.0.0.1:{port}/api"
    arguments = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with _running("the Prefect server", arguments, api, "health"):
        _close_dead_runs(api)
        _address_file().write_text(api)
        try:
            yield api
        finally:
            _address_file().unlink(missing_ok=True)


def _close_dead_runs(api: str) -> None:
    """What ran or waited when the last server was killed is over; its place would block the next.

    Runs that a schedule made stay.
    """
    open_ones = ["RUNNING", "PENDING", "CANCELLING", "SCHEDULED"]
    query = {"flow_runs": {"state": {"type": {"any_": open_ones}}}}
    gone = {"type": "CRASHED", "message": "its server was killed"}
    for run in ask(api, "flow_runs/filter", query):
        if run["state_type"] != "SCHEDULED" or not run["auto_scheduled"]:
            ask(api, f"flow_runs/{run['id']}/set_state", {"state": gone, "force": True})


def _address_file() -> Path:
    return settings().state / "prefect" / "server.address"


def running_server() -> str | None:
    """API address of an embedded server that runs on our state now."""
    if not _address_file().is_file():
        return None
    api = _address_file().read_text()
    try:
        ask(api, "health")
    except (OSError, ValueError):
        return None  # it was killed; somebody else may have its port
    return api


@contextmanager
def embedded_worker(api: str) -> Iterator[None]:
    """A worker that runs flows as processes of this machine; its pool is made with it."""
    arguments = ["worker", "start", "--pool", POOL, "--type", "process"]
    with _running("the Prefect worker", arguments, api, f"work_pools/{POOL}"):
        yield


def schedules() -> dict[str, str]:
    """Cron lines of the settings by deployment; `ValueError` names one that is none."""
    from prefect.client.schemas.schedules import CronSchedule

    chosen, found = settings(), {}
    lines = {"train-pipeline": ("TRAIN", chosen.train_cron)}
    lines["monitor"] = ("MONITOR", chosen.monitor_cron)
    for name, (variable, line) in lines.items():
        if line is None:
            continue
        try:
            CronSchedule(cron=line, timezone=chosen.timezone)
        except ValueError:
            raise ValueError(
                f"MOSS_{variable}_CRON is {line!r} and MOSS_TIMEZONE {chosen.timezone!r}, must be "
                "five fields of cron, such as '0 2 * * 6', and a time zone, such as Europe/Berlin"
            ) from None
        found[name] = line
    return found


def _scheduled_file() -> Path:
    """prefect.yaml with the schedules of the settings."""
    config, crons = read_yaml(settings().root / "prefect.yaml"), schedules()
    for deployment in config["deployments"]:
        line = crons.get(deployment["name"])
        schedule = {"cron": line, "timezone": settings().timezone, "slug": _OURS}
        deployment["schedules"] = [schedule] if line else []
    path = settings().state / "prefect" / "prefect.yaml"
    write_bytes(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path


def deploy(api: str) -> None:
    """Deploy every flow of prefect.yaml with the schedules of the settings."""
    file = ["--prefect-file", str(_scheduled_file())]
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", *file],
        cwd=settings().root,
        env=prefect_environment(api),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"prefect deploy failed:\n{(done.stdout + done.stderr)[-3000:]}")
    _drop_old_schedules(api)


def _drop_old_schedules(api: str) -> None:
    """Deploying adds and changes schedules; those that the settings no longer name must go."""
    wanted = schedules()
    for deployment in ask(api, "deployments/filter", {}):
        if deployment["name"] in wanted:
            continue
        for schedule in deployment["schedules"]:
            if schedule["slug"] == _OURS:
                place = f"deployments/{deployment['id']}/schedules/{schedule['id']}"
                ask(api, place, method="DELETE")
