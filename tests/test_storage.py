"""Atomic folders, JSON, digests, locks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moss_speech.storage import exclusive, fresh_dir, read_json, tree_digest, write_json


def test_fresh_dir_replaces_the_target_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for content in ("first", "second"):
        with fresh_dir(target) as folder:
            (folder / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_failed_block_leaves_the_previous_output_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with fresh_dir(target) as folder:
        (folder / "kept").write_text("kept")
    with pytest.raises(RuntimeError, match="boom"), fresh_dir(target) as folder:
        (folder / "half").write_text("half")
        raise RuntimeError("boom")
    assert [p.name for p in target.iterdir()] == ["kept"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_killed_writer_leaves_the_previous_output_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with fresh_dir(target) as folder:
        (folder / "kept").write_text("kept")
    code = (
        "import sys, time; from pathlib import Path; from moss_speech.storage import fresh_dir\n"
        "with fresh_dir(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [p.name for p in target.iterdir()] == ["kept"]
    with fresh_dir(target) as folder:
        assert list(folder.iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_broken_json_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is not JSON"):
        read_json(tmp_path / "x.json")


def test_tree_digest_sees_names_and_contents(tmp_path: Path) -> None:
    digests = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        with fresh_dir(tmp_path / "tree") as folder:
            (folder / name).write_text(content)
        digests.add(tree_digest(tmp_path / "tree"))
    assert len(digests) == 3


def test_lock_is_refused_while_held_and_free_after_a_kill(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from moss_speech.storage import exclusive\n"
        "with exclusive(Path(sys.argv[1]), 'it'):\n    print('held', flush=True); time.sleep(60)\n"
    )
    lock = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(RuntimeError, match="it is in use"), exclusive(lock, "it"):
        pass
    process.kill()
    process.wait()
    time.sleep(0.05)
    with exclusive(lock, "it"):
        pass
