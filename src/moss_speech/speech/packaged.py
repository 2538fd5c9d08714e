"""ONNX graphs, run by one thread; some come inside installed packages."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import onnxruntime


def open_graph(file: Path) -> onnxruntime.InferenceSession:
    """A graph in a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@cache
def packaged_graph(module: str, path: str) -> onnxruntime.InferenceSession:
    """The graph at `path` in an installed package, opened once a process.

    The package's own code is not imported. Raises `RuntimeError` if it is not installed.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        name = module.replace("_", "-")
        raise RuntimeError(f"package {name} is missing: pip install {name}")
    return open_graph(Path(spec.origin).parent / path)
