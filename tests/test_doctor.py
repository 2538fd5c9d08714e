import os
from collections import namedtuple
from pathlib import Path

import pytest

from moss_speech import doctor


def test_machine_that_runs_the_tests_has_python_audio_and_versions() -> None:
    for check in (doctor.python(), doctor.audio(), doctor.versions()):
        assert check.good, str(check)


def test_other_version_is_named_with_the_pinned_one(project_root: Path) -> None:
    (project_root / "constraints.txt").write_text("pyyaml==0.0.1\n")
    check = doctor.versions()
    assert not check.good
    assert "pyyaml" in check.found
    assert "(pinned 0.0.1)" in check.found


def test_missing_program_comes_with_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    check = doctor.programs()
    assert not check.good
    assert check.remedy == "apt-get install -y espeak-ng flite"


def test_full_disk_stops_a_training_run(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # the disk is the one part that is stood in for
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(1, 1, 1_000_000_000))
    (project_root / "params.yaml").write_text("corpus: {embedded: null}\n")
    with pytest.raises(ValueError, match=r"disk: 1\.0 GB free; free at least 5 GB"):
        doctor.require_ready()


def test_programs_are_only_needed_for_the_embedded_corpus(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    (project_root / "params.yaml").write_text("corpus: {embedded: null}\n")
    doctor.require_ready()
    (project_root / "params.yaml").write_text("corpus: {embedded: {flawed_each: 1}}\n")
    with pytest.raises(ValueError, match="espeak-ng, flite missing"):
        doctor.require_ready()
