import subprocess
import sys
from pathlib import Path

import pytest

from moss_speech.params.base import read_yaml
from moss_speech.stages.runner import declaration, fingerprint, input_digests, threads_of
from tests.workspace import ROOT, environment, make_workspace


def run_stage(workspace: Path, stage: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "moss_speech.stages", stage]
    env = environment(workspace)
    return subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "workspace")


def test_missing_input_is_named_without_traceback(workspace: Path) -> None:
    done = run_stage(workspace, "align")
    assert done.returncode == 1
    assert done.stderr.startswith("stage align: input ")
    assert "`dvc repro align` makes it first" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (workspace / "runs" / "align" / "error.txt").read_text()


def test_misspelt_parameter_is_named_with_its_section(workspace: Path) -> None:
    params = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(params.replace("min_score", "min_scroe"))
    done = run_stage(workspace, "align")
    assert done.returncode == 1
    assert "align.min_scroe" in done.stderr
    assert "align.min_score is missing" in done.stderr


def test_unknown_stage_is_refused_with_the_known_ones(workspace: Path) -> None:
    done = run_stage(workspace, "trian")
    assert done.returncode == 1
    assert "no stage 'trian'; dvc.yaml has start, corpus" in done.stderr


@pytest.mark.parametrize("threads", [0, "2", None])
def test_threads_must_be_a_whole_number_above_zero(threads: object) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        threads_of({"align": {"threads": threads}}, "align")


def test_fingerprint_ignores_byte_code_and_sees_code_and_params(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    stage = declaration(root, "corpus")
    params = read_yaml(root / "params.yaml")
    first = fingerprint(stage, params, input_digests(stage))
    code = root / "src" / "moss_speech" / "corpus" / "sources"
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "domain.pyc").write_bytes(b"1")
    assert fingerprint(stage, params, {}) == first
    assert fingerprint(stage, params | {"seed": 2}, {}) != first
    (code / "domain.py").write_text((code / "domain.py").read_text() + "# edited\n")
    assert fingerprint(stage, params, {}) != first


def test_declaration_takes_data_as_inputs_and_src_as_code() -> None:
    stage = declaration(ROOT, "align")
    assert stage.inputs["clean"] == ROOT / "data" / "clean"
    assert ROOT / "src" / "moss_speech" / "stages" / "align.py" in stage.code
    assert stage.output == ROOT / "data" / "borders"
    assert stage.sections == ("align", "seed")
