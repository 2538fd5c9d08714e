"""`make train`: ask whether anything is to do; if so run the train pipeline and show it.

    python -m flows.launch [--preset NAME] [--from-stage STAGE] [--force] [--no-promote]

Everything that is started here is stopped here.
"""

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from flows._dvc import changed_stages, moved_stages
from flows._processes import end_guarded, start_guarded
from flows._server import ask, deploy, embedded_server, embedded_worker, prefect_environment
from moss_speech.doctor import require_ready
from moss_speech.params.presets import use_preset
from moss_speech.params.sections import load_pipeline
from moss_speech.registry.store import tracking_client
from moss_speech.settings import settings, switch_off_telemetry
from moss_speech.storage import InUseError, exclusive

_RUN_ID = re.compile(r"UUID: ([0-9a-f-]{36})")
_PREFECTS_OWN = ("Finished in state", "Created task run", "Executing")

_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def nothing_to_do() -> str | None:
    """Why there is nothing to train; None if there is."""
    if changed_stages(settings().root) or moved_stages(settings().root):
        return None
    from moss_speech.registry.promotion import champion

    if (now := champion()) is None:
        return None
    return f"nothing to do: no stage changed, and version {now.version} is champion"


@contextmanager
def _prefect() -> Iterator[str]:
    """A Prefect API with our flows deployed: the configured one, or one embedded for this run."""
    with ExitStack() as stack:
        api = settings().prefect_api_url
        if api is None:
            stack.enter_context(exclusive(settings().state / "launch.lock", "make train"))
            print("starting Prefect ...", flush=True)
            with ThreadPoolExecutor(1) as beside:  # a new store takes as long as the server
                store = beside.submit(tracking_client)
                api = stack.enter_context(embedded_server())
                stack.enter_context(embedded_worker(api))
            store.result()
        deploy(api)
        yield api


def _show_log(api: str, run_id: str, shown: int) -> int:
    """Print what the run's tasks have logged since the `shown` first lines; how many are now."""
    logs = {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": logging.INFO}}
    query = {"logs": logs, "sort": "TIMESTAMP_ASC", "limit": 200, "offset": shown}
    lines = ask(api, "logs/filter", query) or []
    for line in lines:
        if line["name"] == "prefect.task_runs" and not line["message"].startswith(_PREFECTS_OWN):
            print(line["message"], flush=True)
    return shown + len(lines)


def _run_id(process: "subprocess.Popen[str]", output: Path) -> str:
    """The id of the run, once the command has printed it."""
    while (match := _RUN_ID.search(output.read_text())) is None:
        if process.poll() is not None:
            raise RuntimeError(f"prefect deployment run failed:\n{output.read_text()[-2000:]}")
        time.sleep(0.2)
    return match[1]


def _watch(api: str, parameters: dict[str, Any]) -> str:
    """Start the deployed flow and show its log until it ends; the id of its run."""
    name = "train-pipeline/train-pipeline"
    command = [sys.executable, "-m", "prefect", "deployment", "run", name]
    command += ["--watch", "--watch-interval", "1", "--params", json.dumps(parameters)]
    output = settings().state / "prefect" / "watch.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w") as kept:
        env = prefect_environment(api)
        process = start_guarded(command, settings().root, env, kept)
        try:
            run_id = _run_id(process, output)
            print(f"Prefect: {api.removesuffix('/api')}/runs/flow-run/{run_id}", flush=True)
            _follow(api, run_id, process)
        finally:
            end_guarded(process)
    return run_id


def _follow(api: str, run_id: str, process: "subprocess.Popen[str]") -> None:
    """Show the log while the watching command runs; Ctrl-C cancels the run."""
    shown = 0
    try:
        while process.poll() is None:
            with suppress(OSError):  # a server that is too busy now answers later; the run goes on
                shown = _show_log(api, run_id, shown)
            time.sleep(1)
        _show_log(api, run_id, shown)
    except KeyboardInterrupt:
        stopped = {"type": "CANCELLED", "message": "stopped at the terminal"}
        ask(api, f"flow_runs/{run_id}/set_state", {"state": stopped, "force": True})
        raise


def _artifact(api: str, key: str, run_id: str) -> Any:
    """Rows of a table that the run left, None if it left none."""
    found = ask(api, f"artifacts/{key}/latest")
    if found is None or found["flow_run_id"] != run_id:
        return None
    return json.loads(found["data"])


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=100).print(table)


def _final_state(api: str, run_id: str) -> dict[str, Any]:
    """The state that the run ended in; the log may have ended before the run did."""
    while True:
        state: dict[str, Any] = ask(api, f"flow_runs/{run_id}")["state"]
        if state["type"] in _FINAL:
            return state
        time.sleep(2)


def _summary(api: str, run_id: str, started_s: float) -> bool:
    """Print stages, figures and verdict; whether the run ended well."""
    state = _final_state(api, run_id)
    for key in ("stages", "accuracy"):
        if rows := _artifact(api, key, run_id):
            print()
            _table(rows)
    print(f"\n{state['name']}: {state['message']}")
    if run := _artifact(api, "verdict", run_id):
        whole_s, in_stages_s = time.monotonic() - started_s, run[0]["seconds in stages"]
        outside = (whole_s - in_stages_s) / whole_s
        print(f"{whole_s:.0f} s in all, {in_stages_s:.0f} s in stages ({outside:.1%} outside them)")
    return bool(state["type"] == "COMPLETED")


def launch(parameters: dict[str, Any]) -> bool:
    """Run the train pipeline if there is something to do; whether all ended well."""
    started_s = time.monotonic()
    root = settings().root
    use_preset(root, parameters["preset"])
    load_pipeline(root / "params.yaml")
    wanted = parameters["force"] or parameters["from_stage"]
    if not wanted and (reason := nothing_to_do()):
        print(reason)
        return True
    require_ready()
    with _prefect() as api:
        return _summary(api, _watch(api, parameters), started_s)


def main(
    preset: Annotated[str | None, typer.Option(help="Preset; params.yaml as it is if none")] = None,
    from_stage: Annotated[str | None, typer.Option(help="Leave what is upstream alone")] = None,
    force: Annotated[bool, typer.Option(help="Run stages even if nothing changed")] = False,
    promote: Annotated[bool, typer.Option(help="Make the model champion if it passes")] = True,
) -> None:
    """Train, judge and promote one model; starts nothing if nothing changed."""
    switch_off_telemetry()
    parameters = {"preset": preset, "from_stage": from_stage, "force": force, "promote": promote}
    try:
        sys.exit(0 if launch(parameters) else 1)
    except (ValueError, InUseError, RuntimeError) as error:
        sys.exit(f"make train: {error}")
    except OSError as error:
        sys.exit(f"make train: {error}; what stages have finished is kept, run it again")
    except KeyboardInterrupt:
        sys.exit("make train: stopped; finished stages stay, the others resume at the next start")


if __name__ == "__main__":
    typer.run(main)
