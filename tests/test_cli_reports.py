"""`moss-speech report RUN…`: pages and Markdown of runs, and what is said of unknown ones."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.cli import app
from tests.evaluation.saved import write_evaluation

pytestmark = pytest.mark.usefixtures("store")


def report(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["report", *arguments])
    return done.exit_code, done.stdout.strip(), done.stderr.strip()


def test_run_becomes_one_file_among_the_reports(store: Path) -> None:
    folder = write_evaluation(store / "mine")
    code, said, _ = report(str(folder))
    assert (code, said) == (0, str(store / "reports/mine.html"))
    assert "</html>" in Path(said).read_text()


def test_comparison_goes_where_it_is_asked_to(store: Path) -> None:
    folders = [str(write_evaluation(store / name)) for name in ("old", "new")]
    code, said, _ = report(*folders, "--out", str(store / "deep/page.html"))
    assert (code, said) == (0, str(store / "deep/page.html"))
    assert "new against old" in Path(said).read_text()


def test_markdown_is_printed_or_written(store: Path) -> None:
    folder = str(write_evaluation(store / "mine"))
    code, said, _ = report("--markdown", folder)
    assert code == 0
    assert said.startswith("| figure | right | 95 % | n | goal |")
    code, path, _ = report(folder, "--markdown", "--out", str(store / "said.md"))
    assert Path(path).read_text().strip() == said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("v7", "no model version 7; registered are none"),
        ("abcdef12", "no run 'abcdef12' at sqlite:///"),
        ("@nobody", "run '@nobody': moss-speech has no such alias"),
        ("reports/nothing", "run 'reports/nothing' cannot be read, must be a run id"),
        ("latest", "metrics.json does not exist: run `moss-speech train evaluate`"),
    ],
)
def test_unknown_run_is_one_line_that_says_what_may_be_named(name: str, words: str) -> None:
    code, _, error = report("page", name)
    assert code == 1
    assert words in error
    assert error.count("\n") == 0


def test_the_other_commands_stay_what_they_were() -> None:
    assert "metrics.json does not exist" in report("codec")[2]
    assert "metrics.json does not exist" in report("latest", "--json")[2]
