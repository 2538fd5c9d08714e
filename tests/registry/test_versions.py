"""From a trained bundle to a registered version, and from an address back to the folder."""

from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version, last_evaluation
from moss_speech.registry.fetch import fetch_model, find_model
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.tracking import pipeline_run
from moss_speech.registry.versions import (
    APPROVED,
    CANDIDATE,
    CHAMPION,
    Candidate,
    approve,
    register_candidate,
    version_with,
)
from moss_speech.settings import settings
from moss_speech.storage import tree_digest
from tests.registry.candidates import (
    BAD,
    FRESH,
    GOOD,
    make_candidate,
    process_of,
    promote,
    register,
)

pytestmark = pytest.mark.usefixtures("store")


def test_candidate_is_filed_in_the_pipeline_run_and_ready_in_the_registry() -> None:
    candidate = make_candidate("first")
    with pipeline_run({"seed": 1}) as parent:
        version = register_candidate(candidate, parent)
    entry = tracking_client().get_model_version(MODEL, str(version))
    assert (entry.status, entry.run_id) == ("READY", parent)
    assert entry.tags["s2s"] == "0.900 (0.800 to 1.000, n 120)"
    assert version_with(CANDIDATE) == version
    run = tracking_client().get_run(parent)
    assert run.data.metrics == {}, "the flow files them, with speed and cost"
    filed = Path(run.info.artifact_uri.removeprefix("file://"))
    assert entry.source.startswith(f"runs:/{parent}/bundle/")
    assert tree_digest(filed / entry.source.split(parent + "/")[1]) == tree_digest(candidate.bundle)
    assert (filed / "report/report.html").exists()


def test_candidate_without_a_pipeline_has_its_figures_in_a_run_of_its_own() -> None:
    version = register_candidate(make_candidate("first"))
    run = tracking_client().get_run(tracking_client().get_model_version(MODEL, str(version)).run_id)
    assert run.data.metrics == {"accuracy/s2s": 0.9, "accuracy/t2t": 1.0}


def test_two_bundles_of_one_run_stay_apart() -> None:
    with pipeline_run({}) as parent:
        versions = [register_candidate(make_candidate(name), parent) for name in ("one", "two")]
    found = [fetch_model(f"models:/{MODEL}/{v}") / "lm/model.safetensors" for v in versions]
    assert [file.read_bytes() for file in found] == [b"one", b"two"]


def test_bundle_offered_again_keeps_its_version_and_gets_new_figures() -> None:
    first = register_candidate(make_candidate("first", BAD))
    second = register_candidate(make_candidate("first", GOOD))
    assert second == first
    with catalogue() as session:
        digest = find_version(session, first).digest
        assert last_evaluation(session, digest)["s2s"].value == 0.9


def test_version_that_the_catalogue_missed_is_recorded_at_the_next_offer() -> None:
    """A process killed between the two stores leaves a version that only MLflow knows."""
    candidate = make_candidate("first")
    register_candidate(candidate)
    for file in settings().state.glob("catalogue.db*"):
        file.unlink()
    from moss_speech.catalogue.database import open_catalogue

    open_catalogue.cache_clear()
    assert register_candidate(candidate) == 1
    with catalogue() as session:
        assert find_version(session, 1).digest == tree_digest(candidate.bundle)


def test_bundle_whose_version_was_deleted_in_mlflow_is_refused_with_what_to_do() -> None:
    (version,) = register("first")
    tracking_client().delete_model_version(MODEL, str(version))
    for _ in range(2):
        with pytest.raises(ValueError, match=f"version {version} of .* `moss-speech restore`"):
            register("first")
    assert register("second") == [version + 1]


def test_bundle_that_mlflow_holds_twice_keeps_the_version_that_the_catalogue_knows() -> None:
    second = register("first", "second")[1]
    known = tracking_client().get_model_version(MODEL, str(second))
    for number in (second + 1, second + 2):
        made = tracking_client().create_model_version(
            MODEL, known.source, known.run_id, tags=known.tags
        )
        assert int(made.version) == number
    assert register("second") == [second]


def test_processes_that_register_one_bundle_together_give_it_one_version() -> None:
    candidate = make_candidate("first")
    together = FRESH.Barrier(3)
    processes = [process_of(_register_with_others, candidate, together) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [int(e.version) for e in tracking_client().search_model_versions()] == [1]


def _register_with_others(candidate: Candidate, together: Barrier) -> None:
    tracking_client()
    together.wait(120)
    register_candidate(candidate)


def test_champion_address_leads_to_the_very_files_that_were_registered() -> None:
    (version,) = register("first")
    promote(version, "anna")
    found = find_model(f"models:/{MODEL}@{CHAMPION}")
    assert (found.version, found.digest) == (version, tree_digest(found.folder))
    assert (found.folder / "lm/model.safetensors").read_bytes() == b"first"
    assert found.folder.is_relative_to(settings().state), "local artifacts need no copy"


def test_champion_address_never_leads_to_a_version_set_by_hand() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
    assert find_model(f"models:/{MODEL}@{CHAMPION}").version == first


def test_other_versions_are_found_by_number_and_alias() -> None:
    first, second = register("first", "second")
    approve(first)
    assert find_model(f"models:/{MODEL}/{second}").version == second
    assert find_model(f"models:/{MODEL}@{APPROVED}").version == first


def test_missing_champion_is_refused_with_the_command_that_makes_one() -> None:
    with pytest.raises(ValueError, match="has no champion yet: `make train`"):
        fetch_model(settings().model)


def test_truncated_bundle_is_refused_with_both_digests() -> None:
    (version,) = register("first")
    promote(version, "anna")
    weights = fetch_model(settings().model) / "lm/model.safetensors"
    weights.write_bytes(b"fir")
    with pytest.raises(ValueError, match=r"is damaged: .* has digest .*, must be "):
        fetch_model(settings().model)


def test_bundle_folder_that_was_deleted_is_named() -> None:
    (version,) = register("first")
    folder = fetch_model(f"models:/{MODEL}/{version}")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(ValueError, match=f"version {version} of {MODEL} has no bundle at"):
        fetch_model(f"models:/{MODEL}/{version}")


@pytest.mark.parametrize("address", ["models:/other@champion", "models:/moss-speech", "nowhere"])
def test_address_that_is_none_is_refused_with_what_may_be_given(address: str) -> None:
    with pytest.raises(ValueError, match="moss-speech"):
        fetch_model(address)


def test_plain_folder_is_its_own_address(tmp_path: Path) -> None:
    found = find_model(str(tmp_path))
    assert (found.folder, found.version) == (tmp_path, None)


def test_damaged_bundle_is_whole_again_when_it_is_offered_again() -> None:
    (version,) = register("first")
    weights = fetch_model(f"models:/{MODEL}/{version}") / "lm/model.safetensors"
    weights.unlink()
    assert register("first") == [version]
    assert weights.read_bytes() == b"first"
