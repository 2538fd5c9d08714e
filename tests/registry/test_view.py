"""What MLflow's page of pipelines opens with."""

import json

import pytest

from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.registry.view import COLUMNS, pipelines_view

pytestmark = pytest.mark.usefixtures("store")


def test_view_is_kept_where_mlflow_looks_for_shared_ones() -> None:
    address = pipelines_view()
    key = address.partition("viewStateShareKey=")[2]
    tags = tracking_client().get_experiment(experiment_id()).tags
    view = json.loads(tags[f"mlflow.sharedViewState.{key}"])
    assert view["selectedColumns"] == list(COLUMNS)
    assert view["searchFilter"] == "tags.`moss.stage` = 'train-pipeline'"


def test_filter_of_the_view_is_one_that_the_store_takes() -> None:
    pipelines_view()
    tags = tracking_client().get_experiment(experiment_id()).tags
    view = json.loads(tags["mlflow.sharedViewState.pipelines"])
    assert tracking_client().search_runs([experiment_id()], view["searchFilter"]) == []
