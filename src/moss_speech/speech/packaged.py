"""ONNX graphs that come inside installed packages."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import onnxruntime


@cache
def packaged_graph(module: str, path: str) -> onnxruntime.InferenceSession:
    """The graph at `path` in an installed package, run by one thread and opened once a process.

    The package's own code is not imported. Raises `RuntimeError` if it is not installed.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        name = module.replace("_", "-")
        raise RuntimeError(f"package {name} is missing: pip install {name}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = Path(spec.origin).parent / path
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
