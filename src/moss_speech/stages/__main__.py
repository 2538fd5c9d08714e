"""`python -m moss_speech.stages NAME`: run one stage as dvc.yaml declares it."""

import importlib
import sys

from moss_speech.params.base import read_yaml, validate_section
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO, declaration, fingerprint, use_threads
from moss_speech.storage import exclusive


def main(name: str) -> None:
    """Validate the stage's params, lock its run folder, run it, file the run."""
    root = settings().root
    stage = declaration(root, name)
    params = read_yaml(root / "params.yaml")
    use_threads(int(params[name]["threads"]))
    module = importlib.import_module(f"moss_speech.stages.{name}")
    p = validate_section(params[name], module.Section, f"params.yaml: {name}")
    run_folder = root / "runs" / name / fingerprint(stage, params)

    from moss_speech.registry.tracking import stage_run  # after the threads are bound

    with exclusive(run_folder.with_suffix(".lock"), f"stage {name}"), stage_run(name) as tracker:
        tracker.params(params[name])
        module.run(p, StageIO(stage.inputs, stage.output, run_folder, tracker, params["seed"]))


if __name__ == "__main__":
    main(sys.argv[1])
