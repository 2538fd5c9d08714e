"""What is cleared up and what never is; bundles that are stored once."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import zc.lockfile
from typer.testing import CliRunner

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.deployments import LOST_S, open_deployment
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.tables import now
from moss_speech.cli.main import app
from moss_speech.registry.fetch import find_model
from moss_speech.registry.gc import collect, find_waste
from moss_speech.registry.keeping import kept_versions
from moss_speech.registry.promotion import rollback
from moss_speech.registry.store import MODEL
from moss_speech.registry.versions import Candidate, bundle_of, register_candidate
from moss_speech.settings import child_environment, settings
from moss_speech.storage import InUseError, exclusive, write_bytes, write_json
from tests.registry.candidates import GOOD, promote, register
from tests.workspace import ROOT


@pytest.fixture
def root(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six versions: 1 and 3 were champion, 4 is, 5 is served, 6 was offered last; 2 is nothing."""
    monkeypatch.setenv("MOSS_KEEP_CANDIDATES", "1")
    settings.cache_clear()
    register("a", "b", "c", "d", "e", "f")
    for version in (1, 3, 4):
        promote(version, "anna")
    serve(5, now())
    return store


def digest(version: int) -> str:
    with catalogue() as session:
        return find_version(session, version).digest


def serve(version: int, at: object) -> None:
    with catalogue() as session:
        open_deployment(session, str(version), digest(version), "host", at)


def test_only_what_nobody_needs_goes(root: Path) -> None:
    assert {1, 3, 4, 5, 6} == set(kept_versions())
    (waste,) = find_waste()
    assert (waste.kind, waste.why) == ("bundle", "version 2 is not kept")
    assert waste.size_bytes > 0
    collect()
    assert find_waste() == []
    for version in (1, 3, 4, 5, 6):
        assert find_model(f"models:/{MODEL}/{version}").version == version
    with pytest.raises(ValueError, match="version 2 of moss-speech has no bundle"):
        find_model(f"models:/{MODEL}/2")
    assert rollback("anna").version == 3


def test_served_version_stays_for_some_days(root: Path) -> None:
    long_ago = now() - timedelta(days=settings().keep_served_days, seconds=LOST_S)
    serve(2, long_ago)
    assert 2 not in kept_versions()
    serve(2, long_ago + timedelta(hours=1))
    assert kept_versions()[2] == "served in the last 30 days"


def test_version_that_heard_who_withdrew_goes_unless_it_is_champion_or_served(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moss_speech.registry import keeping

    monkeypatch.setattr(keeping, "withdrawal_reason", lambda version: "somebody withdrew")
    assert set(kept_versions()) == {4, 5}


def bento(tag: str, labels: str, age_s: int) -> Path:
    path = settings().state / f"bentoml/bentos/moss/{tag}/bento.yaml"
    write_bytes(path, f"labels: {labels}\n".encode())
    os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    return path.parent


def test_old_bentos_go_but_the_newest_and_those_of_kept_versions(root: Path) -> None:
    gone = bento("one", f"{{model_digest: {digest(2)[:12]}, model_version: '2'}}", 50)
    bento("two", f"{{model_digest: {digest(4)[:12]}, model_version: '4'}}", 40)
    bento("three", "{model_digest: abc, model_version: local}", 30)
    bento("four", f"{{model_digest: {digest(2)[:12]}, model_version: '2'}}", 0)
    assert [w.path for w in find_waste() if w.kind == "Bento"] == [gone]


def test_cache_that_the_lock_does_not_lead_to_goes(root: Path) -> None:
    cache = root / ".dvc/cache/files/md5"
    write_json(cache / "aa/1.dir", [{"md5": "bb2", "relpath": "x"}])
    for name in ("bb/2", "cc/3", "dd/4"):
        write_bytes(cache / name, b"data")
    assert [w for w in find_waste() if w.kind == "DVC cache"] == [], "no lock, no judgement"
    outs = "outs: [{path: a, md5: aa1.dir}, {path: b, md5: cc3}]"
    write_bytes(root / "dvc.lock", f"stages:\n  s:\n    {outs}\n".encode())
    (waste,) = [w for w in find_waste() if w.kind == "DVC cache"]
    assert (waste.path, waste.size_bytes) == (cache / "dd/4", 4)


def cached(cache: Path, *names: str) -> None:
    for name in names:
        write_bytes(cache / "files/md5" / name, b"data")


def use_cache(root: Path, place: Path) -> None:
    (root / ".dvc").mkdir(exist_ok=True)
    config = f"[core]\n    no_scm = true\n    analytics = false\n[cache]\n    dir = {place}\n"
    (root / ".dvc/config").write_text(config)


def test_recordings_that_dvc_add_keeps_stay(root: Path) -> None:
    cache = root / ".dvc/cache"
    use_cache(root, cache)
    cached(cache, "cc/3")
    (root / "data").mkdir()
    (root / "data/recordings.wav").write_bytes(b"what somebody said")
    command = [sys.executable, "-m", "dvc", "add", "--quiet", "data/recordings.wav"]
    subprocess.run(command, cwd=root, env=child_environment(), check=True)
    write_bytes(root / "dvc.lock", b"schema: '2.0'\nstages: {}\n")
    assert [w.path for w in collect() if w.kind == "DVC cache"] == [cache / "files/md5/cc/3"]
    assert len(list(cache.glob("files/md5/*/*"))) == 1


@pytest.mark.parametrize("below", [True, False])
def test_cache_is_where_dvc_says_and_one_outside_the_root_stays(
    root: Path, below: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = root / "cache" if below else tmp_path_factory.mktemp("shared")
    use_cache(root, cache)
    cached(cache, "cc/3")
    cached(root / ".dvc/cache", "dd/4")
    write_bytes(root / "dvc.lock", b"schema: '2.0'\nstages: {}\n")
    found = [w.path for w in find_waste() if w.kind == "DVC cache"]
    assert found == ([cache / "files/md5/cc/3"] if below else [])


def test_nothing_goes_while_a_version_is_made_again(root: Path) -> None:
    lock = exclusive(settings().state / "reproduce.lock", "moss-speech reproduce")
    with lock, pytest.raises(InUseError, match="moss-speech reproduce is in use"):
        collect()


def test_nothing_goes_while_dvc_runs_a_stage_or_anything_else(root: Path) -> None:
    use_cache(root, root / ".dvc/cache")
    (root / "wait").mkdir()
    wait = "touch wait/begun; while [ ! -e wait/go ]; do sleep 0.1; done; echo x > out"
    write_json(root / "dvc.yaml", {"stages": {"slow": {"cmd": wait, "outs": ["out"]}}})
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    running = subprocess.Popen(command, cwd=root, env=child_environment())
    try:
        while not (root / "wait/begun").exists():
            assert running.poll() is None
            time.sleep(0.1)
        with pytest.raises(InUseError, match="DVC is at work: process"):
            collect()
    finally:
        (root / "wait/go").touch()
        assert running.wait() == 0
    lock = zc.lockfile.LockFile(str(root / ".dvc/tmp/lock"))
    with pytest.raises(InUseError, match="DVC is in use by another process"):
        collect()
    lock.close()
    assert len(collect()) == 1


def test_checkpoints_of_finished_stages_go(root: Path) -> None:
    for stage in ("done", "failed", "running"):
        write_bytes(root / f"runs/{stage}/{'0' * 16}/model.ckpt", b"weights")
        if stage != "running":
            write_json(root / f"runs/{stage}/usage.json", {"ended_s": now().timestamp() + 1})
    write_bytes(root / "runs/failed/error.txt", b"oh")
    assert [w.path.parent.name for w in find_waste() if w.kind == "checkpoints"] == ["done"]


def test_nothing_goes_while_somebody_trains(root: Path) -> None:
    lock = exclusive(settings().state / "train.lock", "the workspace")
    with lock, pytest.raises(InUseError, match="in use by another process"):
        collect()
    assert len(find_waste()) == 1


def test_command_lists_what_would_go_and_deletes_nothing(root: Path) -> None:
    said = CliRunner().invoke(app, ["gc", "--dry-run"]).output
    assert "kept  version 4: is the champion" in said
    assert "version 2 is not kept" in said
    assert "1 things" in said
    assert len(find_waste()) == 1


def test_bundle_that_dvc_keeps_is_stored_once(store: Path) -> None:
    """The same file in DVC's cache, the workspace and MLflow: one inode, three names."""
    (store / ".dvc").mkdir()
    config = (ROOT / ".dvc/config").read_text()
    (store / ".dvc/config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
    make = "mkdir -p models/bundle/lm && head -c 3000000 /dev/urandom > models/bundle/lm/w"
    stage = {"stages": {"bundle": {"cmd": make, "outs": ["models/bundle"]}}}
    write_json(store / "dvc.yaml", stage)
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    subprocess.run(command, cwd=store, env=child_environment(), check=True)
    write_bytes(store / "report/report.html", b"<p>report</p>")
    bundle = store / "models/bundle"
    version = register_candidate(Candidate(bundle, GOOD, store / "report"))
    with catalogue() as session:
        filed = bundle_of(find_version(session, version))
    cached = max((store / ".dvc/cache").rglob("*"), key=lambda p: p.stat().st_size)
    inodes = {path.stat().st_ino for path in (bundle / "lm/w", filed / "lm/w", cached)}
    assert len(inodes) == 1
    used = subprocess.run(["du", "-sk", store], capture_output=True, text=True, check=True)
    print(f"du of a bundle of 2930 KiB in three places: {used.stdout.split()[0]} KiB")


def test_bundle_that_may_be_written_to_is_copied(store: Path) -> None:
    (version,) = register("a")
    with catalogue() as session:
        filed = bundle_of(find_version(session, version)) / "lm/model.safetensors"
    made = store / "made/a/bundle/lm/model.safetensors"
    made.write_bytes(b"edited in place")
    assert filed.read_bytes() == b"a"
