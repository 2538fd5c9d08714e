import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

ROOT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())[
    "deployments"
]


def test_every_flow_that_users_start_is_deployed() -> None:
    names = [deployment["name"] for deployment in DEPLOYMENTS]
    assert names == ["train-pipeline", "evaluate", "promote", "rollback", "package", "monitor"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_deployment_names_a_flow_of_its_own_name(deployment: dict[str, Any]) -> None:
    path, function = deployment["entrypoint"].split(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    flow = getattr(module, function)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    assert deployment["work_pool"] == {"name": "moss-speech"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_flow_file_is_a_table_of_contents(deployment: dict[str, Any]) -> None:
    path = ROOT / deployment["entrypoint"].split(":")[0]
    assert len(path.read_text().splitlines()) <= 50
