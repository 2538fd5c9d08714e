"""What a change makes DVC run again, asked of DVC on a copy whose stages all count as done."""

import json
from pathlib import Path

import pytest

from flows._dvc import changed_stages, read_graph
from moss_speech.params.base import read_yaml
from tests.workspace import ROOT, dvc, make_workspace

STAGES = frozenset(read_yaml(ROOT / "dvc.yaml")["stages"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with stand-in outputs, committed to DVC as they are."""
    workspace = make_workspace(tmp_path_factory.mktemp("graph") / "workspace")
    for stage in read_yaml(workspace / "dvc.yaml")["stages"].values():
        for out in stage["outs"]:
            (workspace / out).mkdir(parents=True)
            (workspace / out / "content.txt").write_text(out)
        for (metrics,) in map(tuple, stage.get("metrics", [])):
            (workspace / metrics).write_text(json.dumps({"accuracy": {"s2s": {"value": 0.5}}}))
    dvc(workspace, "commit", "--force", "--quiet")
    assert changed_stages(workspace) == frozenset()
    return workspace


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("services/service.py", set()),
        ("flows/train_pipeline.py", set()),
        ("src/moss_speech/cli/main.py", set()),
        ("src/moss_speech/registry/promotion.py", set()),
        ("src/moss_speech/evaluation/scores.py", {"evaluate"}),
        ("src/moss_speech/corpus/clean/verdicts.py", {"clean"}),
        ("src/moss_speech/stages/align.py", {"align"}),
        ("src/moss_speech/codec/model.py", {"train_tokenizer", "encode_corpus", "align"}),
        ("src/moss_speech/decoder/model.py", {"train_decoder", "train_vocoder"}),
        ("src/moss_speech/lm/model.py", {"init_backbone", "pretrain_frozen", "finetune"}),
    ],
)
def test_edited_code_reruns_only_what_is_made_with_it(
    done: Path, path: str, first: set[str]
) -> None:
    text = (done / path).read_text()
    (done / path).write_text(text + "# edited\n")
    changed = changed_stages(done)
    (done / path).write_text(text)
    assert first <= changed
    codec_stages, speech_stages = {"train_tokenizer", "encode_corpus"}, {"train_decoder"}
    if not first:
        assert changed == frozenset()
    if "/lm/" in path:
        assert not changed & (codec_stages | speech_stages | {"corpus", "clean", "align"})
    if "/decoder/" in path:
        assert not changed & (codec_stages | {"init_backbone", "pack", "finetune", "corpus"})
    if "/codec/" in path:
        assert not changed & {"corpus", "clean", "init_backbone", "train_decoder", "finetune"}


def test_changed_parameter_reruns_its_stage_and_what_lists_it(done: Path) -> None:
    params = (done / "params.yaml").read_text()
    assert "min_score: -4.0" in params
    (done / "params.yaml").write_text(params.replace("min_score: -4.0", "min_score: -5.0"))
    changed = changed_stages(done)
    (done / "params.yaml").write_text(params)
    assert changed == {"align", "bundle"}  # the bundle's card lists every number


def test_changed_seed_reruns_everything(done: Path) -> None:
    params = (done / "params.yaml").read_text()
    (done / "params.yaml").write_text(params.replace("seed: 1\n", "seed: 2\n", 1))
    changed = changed_stages(done)
    (done / "params.yaml").write_text(params)
    assert changed == STAGES


def test_graph_runs_from_corpus_to_evaluation(done: Path) -> None:
    graph = read_graph(done)
    order = list(graph.parents)
    assert set(order) == STAGES
    assert all(order.index(p) < order.index(s) for s in order for p in graph.parents[s])
    assert graph.downstream("corpus") | {"start"} == STAGES
    assert graph.downstream("bundle") == {"bundle", "evaluate"}
    assert "train_decoder" not in graph.downstream("pack")


def test_dvc_shows_graph_and_metrics(done: Path) -> None:
    assert "train_tokenizer" in dvc(done, "dag").stdout
    assert "0.5" in dvc(done, "metrics", "show").stdout


def test_pushed_outputs_come_back_from_the_remote(done: Path, tmp_path: Path) -> None:
    dvc(done, "remote", "add", "--local", "--force", "--default", "team", str(tmp_path / "remote"))
    dvc(done, "push", "--quiet")
    content = done / "models" / "bundle" / "content.txt"
    for path in (done / ".dvc" / "cache", done / "models" / "bundle"):
        path.rename(tmp_path / path.name)
    dvc(done, "pull", "--quiet")
    assert content.read_text() == "models/bundle"
    assert changed_stages(done) == frozenset()


def test_params_diff_shows_old_and_new_value(done: Path, tmp_path: Path) -> None:
    import subprocess

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *who, *arguments], cwd=workspace, check=True, capture_output=True)

    workspace = make_workspace(tmp_path / "with-history")
    git("init", "--quiet")
    (workspace / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "start")
    params = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(params.replace("min_score: -4.0", "min_score: -5.0"))
    shown = dvc(workspace, "params", "diff").stdout
    assert "align.min_score" in shown
    assert "-5.0" in shown
