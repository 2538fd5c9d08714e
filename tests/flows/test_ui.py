"""`make ui` with real servers on loopback."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from flows._server import free_port, running_server
from moss_speech.settings import child_environment


def page(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def test_ui_serves_both_pages_until_ctrl_c(root: Path) -> None:
    mlflow, prefect = free_port(), free_port()
    ports = ["--mlflow-port", str(mlflow), "--prefect-port", str(prefect)]
    command = [sys.executable, "-m", "flows.ui", *ports, "--no-browser"]
    env = child_environment(MOSS_ROOT=str(root))
    assert running_server() is None
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == [
            f"MLflow: http://127.0.0.1:{mlflow}/#/experiments/1/runs?viewStateShareKey=pipelines",
            f"Prefect: http://127.0.0.1:{prefect}",
            "Ctrl-C ends both",
        ]
        assert "MLflow" in page(f"http://127.0.0.1:{mlflow}")
        assert "Prefect" in page(f"http://127.0.0.1:{prefect}")
        assert running_server() == f"http://127.0.0.1:{prefect}/api"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert running_server() is None


def test_address_that_a_killed_server_left_behind_is_not_believed(root: Path) -> None:
    file = root / ".moss" / "prefect" / "server.address"
    file.parent.mkdir(parents=True)
    file.write_text(f"http://127.0.0.1:{free_port()}/api")
    assert running_server() is None
