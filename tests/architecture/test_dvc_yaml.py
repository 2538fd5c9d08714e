"""dvc.yaml against the code: a stage depends on what it imports, and on nothing besides."""

from pathlib import Path

import grimp
import pytest

from moss_speech.params.base import read_yaml
from moss_speech.stages.runner import declaration

ROOT = Path(__file__).parents[2]
STAGES = tuple(read_yaml(ROOT / "dvc.yaml")["stages"])
FLOOR = (
    "settings",
    "records",
    "storage",
    "licence",
    "audio",
    "m4a",
    "vocab",
    "assets",
    "params",
    "registry",
    "catalogue",
    "stages",
)
"""Not dependencies: plumbing that decides no number, and params, whose numbers DVC compares."""

BROKERS = (["registry"], ["catalogue"])
"""They bring what others made, and judge it with code of every kind."""


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("moss_speech", cache_dir=None, exclude_type_checking_imports=True)


def module_file(module: str) -> Path:
    path = ROOT / "src" / Path(*module.split("."))
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


def imported_code(graph: grimp.ImportGraph, stage: str) -> set[Path]:
    """Files that a stage's module reaches by imports, without plumbing and what only that needs."""
    reached, todo = set[str](), [f"moss_speech.stages.{stage}"]
    while todo:
        found = graph.find_modules_directly_imported_by(todo.pop()) - reached
        reached |= found
        todo += [m for m in found if m.split(".")[1:2] not in BROKERS]
    wanted = (m for m in reached if m.count(".") and m.split(".")[1] not in FLOOR)
    files = {module_file(module) for module in wanted}
    return {path for path in files if path.read_text().strip()}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_all_code_that_it_imports(imports: grimp.ImportGraph, stage: str) -> None:
    declared = declaration(ROOT, stage).code
    missing = [
        str(path.relative_to(ROOT))
        for path in sorted(imported_code(imports, stage))
        if not any(path == code or path.is_relative_to(code) for code in declared)
    ]
    assert missing == []


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_no_code_that_it_does_not_import(
    imports: grimp.ImportGraph, stage: str
) -> None:
    own = ROOT / "src" / "moss_speech" / "stages" / f"{stage}.py"
    reached = imported_code(imports, stage) | {own}
    declared = declaration(ROOT, stage).code
    idle = [c for c in declared if not any(p == c or p.is_relative_to(c) for p in reached)]
    assert idle == []
