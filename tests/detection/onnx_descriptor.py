"""A tiny ONNX descriptor, written byte by byte: no package is needed to make one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_descriptor(
    path: Path, dim: int, *, seed: int = 0, scale: float = 1.0, batch: int | None = None
) -> NDArray[np.float32]:
    """Faces (n, 3, 112, 112) averaged to 8 x 8 patches and multiplied by random numbers, which
    are returned (192, dim). `batch`: a fixed n; None for any."""
    weights = np.random.default_rng(seed).normal(0, scale, (192, dim)).astype(np.float32)
    first = _number(1, batch) if batch else _text(2, "n")
    sides = [_ints("kernel_shape", [14, 14]), _ints("strides", [14, 14])]
    nodes = [
        _node("AveragePool", ["data"], "pooled", sides),
        _node("Flatten", ["pooled"], "flat", []),
        _node("MatMul", ["flat", "weights"], "fc1", []),
    ]  # fmt: skip
    tensor = (
        _number(1, 192) + _number(1, dim) + _number(2, 1) + _text(8, "weights")
        + _bytes(9, weights.tobytes())
    )  # fmt: skip
    graph = (
        b"".join(_bytes(1, node) for node in nodes) + _text(2, "tiny") + _bytes(5, tensor)
        + _bytes(11, _value("data", [first, *(_number(1, side) for side in (3, 112, 112))]))
        + _bytes(12, _value("fc1", [first, _number(1, dim)]))
    )  # fmt: skip
    path.write_bytes(_number(1, 7) + _bytes(8, _number(2, 13)) + _bytes(7, graph))
    return weights


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _ints(name: str, values: list[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _node(kind: str, inputs: list[str], output: str, attributes: list[bytes]) -> bytes:
    return (
        b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(3, output)
        + _text(4, kind) + b"".join(_bytes(5, attribute) for attribute in attributes)
    )  # fmt: skip


def _value(name: str, dims: list[bytes]) -> bytes:
    shape = b"".join(_bytes(1, dim) for dim in dims)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, shape)))
