"""`make ui`: the MLflow and Prefect pages of this project root, until Ctrl-C."""

import signal
import sys
import webbrowser
from contextlib import ExitStack
from typing import Annotated

import typer

from flows._processes import end_guarded, start_guarded
from flows._server import embedded_server, running_server, wait_until_ready
from moss_speech.doctor import require_port
from moss_speech.registry.view import pipelines_view
from moss_speech.settings import child_environment, settings, switch_off_telemetry


def _mlflow(port: int, stack: ExitStack) -> str:
    """Start the MLflow server on our store; the address of its page."""
    log = settings().state / "mlflow-ui.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    output = stack.enter_context(log.open("w"))
    artifacts = settings().state / "artifacts"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", settings().tracking_uri, "--serve-artifacts"]
    command += ["--default-artifact-root", artifacts.as_uri()]
    process = start_guarded(command, settings().root, child_environment(), output)
    stack.callback(end_guarded, process, grace_s=10)
    address = f"http://127.0.0.1:{port}"
    wait_until_ready("the MLflow server", process, log, f"{address}/version")
    return address


def main(
    mlflow_port: Annotated[int, typer.Option()] = 5000,
    prefect_port: Annotated[int, typer.Option()] = 4200,
    browser: Annotated[bool, typer.Option(help="Open the pages")] = True,
) -> None:
    """Serve both pages on loopback; a configured or running server is named, not started."""
    switch_off_telemetry()
    try:
        require_port(mlflow_port)
        running = settings().prefect_api_url or running_server()
        if running is None:
            require_port(prefect_port)
        with ExitStack() as stack:
            uri = settings().tracking_uri
            mlflow = uri if uri.startswith("http") else _mlflow(mlflow_port, stack)
            api = running or stack.enter_context(embedded_server(prefect_port))
            pages = {"MLflow": f"{mlflow}/{pipelines_view()}", "Prefect": api.removesuffix("/api")}
            for name, address in pages.items():
                print(f"{name}: {address}", flush=True)
                if browser:
                    webbrowser.open(address)
            print("Ctrl-C ends both", flush=True)
            signal.pause()
    except (ValueError, RuntimeError) as error:
        sys.exit(f"make ui: {error}")
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    typer.run(main)
