"""A project root of its own for tests that run stages: the code as it is now, a preset, no data."""

import shutil
import subprocess
import sys
from pathlib import Path

from moss_speech.settings import child_environment

ROOT = Path(__file__).parents[1]
_CODE = ("src", "flows", "services", "presets", "dvc.yaml", "prefect.yaml", "pyproject.toml")
_DVC = "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"


def make_workspace(target: Path, preset: str = "tiny") -> Path:
    """Copy the code into `target` and make params.yaml that preset; what stages made stays."""
    (target / ".dvc").mkdir(parents=True, exist_ok=True)
    (target / ".dvc" / "config").write_text(_DVC)
    for name in (*_CODE, ".dvcignore", "constraints.txt", "withdrawn.jsonl"):
        if (ROOT / name).is_dir():
            shutil.rmtree(target / name, ignore_errors=True)
            skip = shutil.ignore_patterns("__pycache__", "*.egg-info", ".partial-*")
            shutil.copytree(ROOT / name, target / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, target / name)
    shutil.copy(ROOT / "presets" / f"{preset}.yaml", target / "params.yaml")
    return target


def copy_made(source: Path, target: Path) -> Path:
    """A second workspace with the same code and outputs, without checkpoints and caches."""
    skip = shutil.ignore_patterns("runs", ".moss", "cache", "tmp", "__pycache__")
    return Path(shutil.copytree(source, target, ignore=skip))


def environment(workspace: Path) -> dict[str, str]:
    """The environment of a command that works in a workspace, with the repository's weights."""
    return child_environment(
        MOSS_ROOT=str(workspace),
        MOSS_ASSETS_FOLDER=str(ROOT / ".moss" / "assets"),
        DVC_SITE_CACHE_DIR=str(workspace / ".moss" / "dvc"),
        PYTHONPATH=f"{workspace / 'src'}:{workspace}",
    )


def dvc(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a DVC command in a workspace; what it printed is shown if it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(
        command, cwd=workspace, env=environment(workspace), capture_output=True, text=True
    )
    assert done.returncode == 0, (
        f"dvc {' '.join(arguments)}:\n{(done.stdout + done.stderr)[-5000:]}"
    )
    return done
