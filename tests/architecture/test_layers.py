"""Who may import whom, and how large things may grow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("src", "flows", "services") for path in (ROOT / folder).rglob("*.py")
)
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 40
MIGRATIONS = "catalogue/migrations/versions"
"""Upgrade scripts are data about tables: one function lists them all."""


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_layers_and_owners_of_frameworks_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_file_is_longer_than_allowed() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in SOURCES}
    assert {p: n for p, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_allowed() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{f.lineno} {f.name}": f.end_lineno - f.lineno + 1
        for path in SOURCES
        if MIGRATIONS not in str(path)
        for f in functions(path)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_only_settings_reads_the_environment() -> None:
    def reads(path: Path) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("os", "getenv"), ("environ", "get")}
            for node in ast.walk(ast.parse(path.read_text()))
        ) or any(
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value) == "os.environ"
            for node in ast.walk(ast.parse(path.read_text()))
        )

    readers = [str(p.relative_to(ROOT)) for p in SOURCES if reads(p) and p.name != "settings.py"]
    assert readers == []


def test_every_file_says_what_it_is_about() -> None:
    texts = {str(p.relative_to(ROOT)): p.read_text() for p in SOURCES}
    silent = [n for n, t in texts.items() if t.strip() and not ast.get_docstring(ast.parse(t))]
    assert silent == []
