"""A workspace of three stages that sleep, for tests of what starts and kills stages."""

from pathlib import Path

WORK = """
import json, sys, time
from pathlib import Path

started_s = time.time()
name, seconds = sys.argv[1], float(sys.argv[2])
value = Path("in.txt").read_text() + name + sys.argv[3]
out = Path("out") / name
out.parent.mkdir(exist_ok=True)
for quarter in range(4):
    print(f"progress {quarter}/4 asleep", flush=True)
    time.sleep(seconds / 4)
if sys.argv[3] == "broken":
    sys.exit(f"stage {name}: n is broken, must be a number")
out.mkdir()
(out / "value.txt").write_text(value)
usage = {"started_s": started_s, "ended_s": time.time(), "cpu_s": 0.5, "peak_mb": 1}
(Path("runs") / name / "usage.json").write_text(json.dumps(usage))
"""
STAGE = """
  {name}:
    cmd: python work.py {name} ${{{name}.seconds}} ${{{name}.n}}
    params: [{name}]
    deps: [work.py, {deps}]
    outs: [out/{name}]
"""


def write_params(root: Path, seconds: float = 0.4, **n: object) -> None:
    """Sections a, b, c, whose stages sleep so long; `n` is the number that an output holds."""
    lines = [
        f"{name}: {{threads: 1, seconds: {seconds}, n: {n.get(name, 0)}}}\n"
        for name in ("a", "b", "c")
    ]
    start = "start: {threads: 1, model: null}\n"
    (root / "params.yaml").write_text("".join([start, *lines]))


def write_workspace(root: Path, chained: bool = False) -> Path:
    """Stages a, b, c; independent, or c after a and b."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
    deps = {"a": "in.txt", "b": "in.txt", "c": "in.txt, out/a, out/b" if chained else "in.txt"}
    stages = "".join(STAGE.format(name=name, deps=d) for name, d in deps.items())
    (root / "dvc.yaml").write_text("stages:" + stages)
    (root / "work.py").write_text(WORK)
    (root / "in.txt").write_text("in")
    write_params(root)
    return root
