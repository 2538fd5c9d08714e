"""Versions made again: a small pipeline of real git and DVC, and the preset tiny (slow)."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.recipes import recipe_of, record_recipe
from moss_speech.registry.locked import path_md5, read_lock, stages_to
from moss_speech.registry.recheck import Finding
from moss_speech.registry.recipe import recipe_of_root
from moss_speech.registry.reproduction import Wanted, reproduce
from moss_speech.registry.versions import register_candidate
from moss_speech.settings import child_environment, settings
from moss_speech.storage import tree_digest
from tests.registry.candidates import make_candidate
from tests.workspace import copy_made, environment

PIPELINE = {
    "stages": {
        "corpus": {
            "cmd": "python src/corpus.py",
            "params": ["words"],
            "deps": ["src/corpus.py"],
            "outs": ["data/corpus"],
        },
        "bundle": {
            "cmd": "python src/bundle.py",
            "deps": ["src/bundle.py", "data/corpus"],
            "outs": ["models/bundle"],
        },
        "evaluate": {
            "cmd": "python src/evaluate.py",
            "deps": ["src/evaluate.py", "models/bundle"],
            "outs": ["reports/evaluation"],
        },
    }
}
CORPUS = """
from pathlib import Path
words = Path("params.yaml").read_text()
said = Path("recordings/said.txt").read_text()
Path("data/corpus").mkdir(parents=True)
Path("data/corpus/words.txt").write_text(words + said)
"""
BUNDLE = """
from pathlib import Path
Path("models/bundle/lm").mkdir(parents=True)
text = Path("data/corpus/words.txt").read_text()
Path("models/bundle/lm/weights").write_text(text[::-1])
Path("models/bundle/card.json").write_text("{}")
"""
EVALUATE = "raise SystemExit('a bundle is made again without its evaluation')"


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=anna", "-c", "user.email=anna@localhost"]
    command = ["git", "-C", str(root), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def dvc(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(
        command, cwd=root, env=child_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def root(store: Path) -> Path:
    """A git repository with a DVC pipeline of three small stages, its bundle made."""
    code = {"corpus": CORPUS, "bundle": BUNDLE, "evaluate": EVALUATE}
    (store / "src").mkdir()
    for name, text in code.items():
        (store / f"src/{name}.py").write_text(text)
    (store / "recordings").mkdir()
    (store / "recordings/said.txt").write_text("yes no")
    (store / "params.yaml").write_text("words: [yes, no]\n")
    (store / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    ignored = ["/data/", "/models/", "/reports/", "/.moss/", "/recordings/", "/made/"]
    (store / ".gitignore").write_text("\n".join(ignored) + "\n")
    git(store, "init", "--quiet")
    dvc(store, "init", "--quiet")
    dvc(store, "config", "core.analytics", "false")
    git(store, "add", ".")
    git(store, "commit", "--quiet", "-m", "start")
    dvc(store, "repro", "bundle")
    return store


@pytest.fixture
def version(root: Path) -> int:
    return register_made(root)


def register_made(root: Path) -> int:
    made = make_candidate("report")
    return register_candidate(replace(made, bundle=root / "models/bundle"))


def findings(version: int, **how: object) -> tuple[bool, dict[str, Finding]]:
    told: list[Finding] = []
    same = reproduce(Wanted(version, **how), told.append)
    return same, {finding.what: finding for finding in told}


def test_recipe_is_filed_once_with_commit_params_lock_and_packages(
    root: Path, version: int
) -> None:
    with catalogue() as session:
        recipe = recipe_of(session, version)
    assert recipe.commit == git(root, "rev-parse", "HEAD")
    assert recipe.edited == []
    assert recipe.params == "words: [yes, no]\n"
    assert recipe.lock == (root / "dvc.lock").read_text()
    assert recipe.packages["python"].startswith("3.")
    assert "torch" in recipe.packages
    (root / "params.yaml").write_text("words: [maybe]\n")
    assert register_made(root) == version
    with catalogue() as session:
        assert recipe_of(session, version) == recipe, "the first registration knows"


def test_version_is_made_again_to_the_same_digest_though_the_root_moved_on(
    root: Path, version: int
) -> None:
    (root / "src/bundle.py").write_text("raise SystemExit('newer code')")
    (root / "params.yaml").write_text("words: [maybe]\n")
    git(root, "commit", "--quiet", "-am", "newer")
    same, told = findings(version)
    assert same, told
    assert told["corpus"].said == "made data/corpus again"
    assert told["bundle"].said.startswith("digest ")
    assert not (settings().state / "reproduce" / str(version)).exists()
    assert git(root, "worktree", "list").count("\n") == 0
    assert git(root, "status", "--porcelain", "-uno") == ""


def test_check_alone_runs_no_stage(root: Path, version: int) -> None:
    (root / "recordings/said.txt").unlink()  # no stage could run
    same, told = findings(version, check_only=True)
    assert same
    assert set(told) == {"commit", "edits", "params", "registered bundle", "packages", "code"}


def test_first_stage_that_differs_is_named_and_ends_it(root: Path, version: int) -> None:
    (root / "recordings/said.txt").write_text("other recordings")
    same, told = findings(version, keep=True)
    assert not same
    assert told["corpus"].said.startswith("the first output that differs: data/corpus is ")
    assert "bundle" not in told
    kept = settings().state / "reproduce" / str(version)
    assert "other recordings" in (kept / "data/corpus/words.txt").read_text()
    same, told = findings(version, from_stage="bundle")
    assert same, "what is upstream comes from the cache"
    assert "corpus" not in told


def test_edits_that_were_never_committed_show_in_the_code(root: Path) -> None:
    (root / "src/bundle.py").write_text(BUNDLE + "# edited\n")
    dvc(root, "repro", "bundle")
    same, told = findings(register_made(root), check_only=True)
    assert not same
    assert told["edits"].said == "not committed when it was registered: src/bundle.py"
    assert "other code than what made the version: src/bundle.py" in told["code"].said


def test_commit_that_is_gone_is_named(root: Path) -> None:
    with catalogue() as session:
        lost = replace(recipe_of_root(root), commit="0" * 40)
    version = register_made(root)
    with catalogue() as session:
        from moss_speech.catalogue.gate_tables import Recipe

        session.delete(session.get(Recipe, version))
        session.flush()
        record_recipe(session, version, lost)
    same, told = findings(version)
    assert not same
    assert told["commit"].said.startswith(f"{'0' * 40} is not in {root}")
    assert "corpus" not in told, "nothing was started"


def test_params_edited_after_the_stages_ran_are_named(root: Path) -> None:
    (root / "params.yaml").write_text("words: [maybe]\n")
    _, told = findings(register_made(root), check_only=True)
    assert told["params"].said == "edited after the stages ran: corpus.words"


def test_bundle_that_this_pipeline_did_not_make_is_told(root: Path) -> None:
    version = register_candidate(make_candidate("bought"))
    same, told = findings(version, check_only=True)
    assert not same
    assert "was not made by this pipeline" in told["registered bundle"].said


def test_stage_that_does_not_make_the_bundle_cannot_be_begun_at(root: Path, version: int) -> None:
    with pytest.raises(ValueError, match="no stage 'evaluate' makes the bundle; those that do: c"):
        findings(version, from_stage="evaluate")


def test_folder_without_a_repository_has_a_recipe_without_a_commit(store: Path) -> None:
    recipe = recipe_of_root(store)
    assert (recipe.commit, recipe.lock) == ("", "")


def test_names_of_files_are_those_of_dvc(root: Path) -> None:
    stages = read_lock((root / "dvc.lock").read_text(), "dvc.lock")
    needed = stages_to(stages, "models/bundle", "dvc.lock")
    assert [stage.name for stage in needed] == ["corpus", "bundle"]
    for stage in needed:
        for path, md5 in (stage.deps | stage.outs).items():
            assert path_md5(root / path) == md5


@pytest.fixture
def tiny_root(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The preset tiny as a repository of its own, all outputs made and in its cache."""
    folder = copy_made(tiny_run, tmp_path / "tiny")
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("/data/\n/models/\n/reports/\n/runs/\n.moss/\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "start")
    for name, value in environment(folder).items():
        if name.startswith(("MOSS_", "DVC_")):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    settings.cache_clear()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "commit", "--force", "--quiet"], env=child_environment()
    )
    assert done.returncode == 0
    yield folder
    settings.cache_clear()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_trained_model_is_made_again_to_the_same_digest(tiny_root: Path) -> None:
    made = replace(make_candidate("report"), bundle=tiny_root / "models/bundle")
    version = register_candidate(made)
    same, told = findings(version)
    assert same, "\n".join(map(str, told.values()))
    assert told["bundle"].said == f"digest {tree_digest(made.bundle)[:12]}"
