"""`make deploy`: the flows and their schedules, on the Prefect server that is set or runs."""

import sys

import typer

from flows._server import deploy, running_server, schedules
from moss_speech.settings import settings, switch_off_telemetry


def main() -> None:
    """Deploy every flow; schedules are MOSS_TRAIN_CRON and MOSS_MONITOR_CRON, none without."""
    switch_off_telemetry()
    try:
        crons = schedules()
        api = settings().prefect_api_url or running_server()
        if api is None:
            raise ValueError("no Prefect server runs: set MOSS_PREFECT_API_URL, or run `make ui`")
        deploy(api)
    except (ValueError, RuntimeError) as error:
        sys.exit(f"make deploy: {error}")
    for name, line in crons.items():
        print(f"{name}: {line} ({settings().timezone})")
    print(f"deployed to {api}" + ("" if crons else "; nothing is scheduled"))


if __name__ == "__main__":
    typer.run(main)
