"""A small ONNX graph with the signature of CAM++, written byte by byte."""

import struct
from pathlib import Path

import numpy as np


def _field(number: int, content: bytes | int) -> bytes:
    """One field of a protocol buffer: a number, or bytes with their length."""

    def varint(value: int) -> bytes:
        low, rest = value & 127, value >> 7
        return bytes([low | 128]) + varint(rest) if rest else bytes([low])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def _value(name: str, shape: list[int | str]) -> bytes:
    sizes = [_field(1, n) if isinstance(n, int) else _field(2, n.encode()) for n in shape]
    tensor = _field(1, 1) + _field(2, b"".join(_field(1, size) for size in sizes))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def write_graph(file: Path, weight: np.ndarray) -> None:
    """ONNX of the released signature: the mean over time of the bands, times a matrix."""
    axis = b"".join((_field(1, b"axes"), _field(8, 1), _field(20, 7)))
    keep = b"".join((_field(1, b"keepdims"), _field(3, 0), _field(20, 2)))
    names = ((1, b"bands"), (2, b"mean"), (4, b"ReduceMean"), (5, axis), (5, keep))
    mean = b"".join(_field(*pair) for pair in names)
    names = ((1, b"mean"), (1, b"weight"), (2, b"vector"), (4, b"MatMul"))
    product = b"".join(_field(*pair) for pair in names)
    sizes = b"".join(_field(1, n) for n in weight.shape)
    data = struct.pack(f"<{weight.size}f", *weight.ravel())
    tensor = sizes + _field(2, 1) + _field(8, b"weight") + _field(9, data)
    graph = b"".join((_field(1, mean), _field(1, product), _field(2, b"g"), _field(5, tensor)))
    graph += _field(11, _value("bands", [1, "F", weight.shape[0]]))
    graph += _field(12, _value("vector", [1, weight.shape[1]]))
    file.write_bytes(_field(1, 8) + _field(8, _field(2, 13)) + _field(7, graph))
