"""Descriptors of aligned faces: SFace by OpenCV, any other ONNX by onnxruntime, or several."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.detection.align import FACE_SIDE
from annotator.detection.faces import import_cv2
from annotator.detection.onnxfiles import INSTALL_COMMAND, OnnxFile, find_onnx
from annotator.errors import FeatureError
from annotator.features.weights import require_package
from annotator.items.refs import make_printable
from annotator.learn.rows import scale_to_unit

FaceImages = NDArray[np.uint8]
FaceVectors = NDArray[np.float32]


class FaceDescriptor(Protocol):
    """A model that turns faces into vectors; those of one person are near one another."""

    file: OnnxFile
    dim: int

    def __call__(self, faces: FaceImages) -> FaceVectors:
        """Describe faces (n, 112, 112, 3) RGB by vectors (n, dim) of any length."""
        ...


class DescriptorEnsemble:
    """One or more descriptors as one.

    Each part has length 1 before they are joined, so that none counts more for larger numbers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Open the descriptors: SFace with OpenCV, others with onnxruntime.

        Raises `ExtraMissing` for absent packages or weights, `FeatureError` for other ONNX files.
        """
        self.parts = [_open_descriptor(find_onnx(name)) for name in names]
        self.dim = sum(part.dim for part in self.parts)
        self.name = "+".join(part.file.short for part in self.parts)

    def describe(self) -> dict[str, Any]:
        """Return all that the vectors depend on, as plain JSON."""
        return {
            "name": self.name,
            "faces": True,
            "weights": [part.file.sha256 for part in self.parts],
        }

    def __call__(self, faces: FaceImages) -> FaceVectors:
        """Describe faces (n, 112, 112, 3) RGB by vectors (n, dim) of length 1.

        A row is NaN if one of the parts gives nothing for it.
        """
        parts = [_unit(part(faces)) for part in self.parts]
        joined = np.concatenate(parts, axis=1) / np.sqrt(len(parts))
        return np.asarray(joined, np.float32)


def _open_descriptor(file: OnnxFile) -> FaceDescriptor:
    sface = file.name == "sface" or "sface" in file.path.name.lower()
    return SFaceDescriptor(file) if sface else OnnxDescriptor(file)


class SFaceDescriptor:
    """A descriptor of 128 numbers by `cv2.FaceRecognizerSF`."""

    def __init__(self, file: OnnxFile) -> None:
        cv2 = import_cv2()
        self.file = file
        try:
            self._network = cv2.FaceRecognizerSF.create(str(file.path), "")
            self.dim = int(self(np.zeros((1, FACE_SIDE, FACE_SIDE, 3), np.uint8)).shape[1])
        except cv2.error as error:
            raise _no_descriptor(file, error) from error

    def __call__(self, faces: FaceImages) -> FaceVectors:
        rows = [self._network.feature(np.ascontiguousarray(face[:, :, ::-1])) for face in faces]
        return np.asarray(np.concatenate(rows), np.float32).reshape(len(rows), -1)


class OnnxDescriptor:
    """A descriptor in an ONNX file, such as ArcFace or AdaFace.

    Its input is (n, 3, 112, 112), RGB from -1 to 1, its output (n, d).
    """

    def __init__(self, file: OnnxFile) -> None:
        runtime = require_package("onnxruntime", INSTALL_COMMAND, alternative="")
        self.file = file
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        providers = [
            name
            for name in runtime.get_available_providers()
            if name in ("CUDAExecutionProvider", "CPUExecutionProvider")
        ]
        try:
            self._session = runtime.InferenceSession(str(file.path), options, providers=providers)
            self._input = self._session.get_inputs()[0]
            self.dim = int(self(np.zeros((1, FACE_SIDE, FACE_SIDE, 3), np.uint8)).shape[1])
        except _onnx_errors() as error:
            raise _no_descriptor(file, error) from error

    def __call__(self, faces: FaceImages) -> FaceVectors:
        values = (faces.astype(np.float32).transpose(0, 3, 1, 2) - 127.5) / 127.5
        alone = isinstance(self._input.shape[0], int)
        batches = [values[row : row + 1] for row in range(len(values))] if alone else [values]
        found = [self._session.run(None, {self._input.name: batch})[0] for batch in batches]
        return np.asarray(np.concatenate(found), np.float32).reshape(len(faces), -1)


def _onnx_errors() -> tuple[type[Exception], ...]:
    """Return the errors that onnxruntime raises; they have no base class of their own."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = ("Fail", "InvalidArgument", "InvalidProtobuf", "InvalidGraph", "NotImplemented")
    own = tuple(getattr(state, name) for name in (*names, "RuntimeException", "NoSuchFile"))
    return (*own, ValueError, IndexError)


def _unit(vectors: FaceVectors) -> FaceVectors:
    with np.errstate(invalid="ignore"):
        unit = scale_to_unit(vectors)
    unit[~unit.any(axis=1)] = np.nan
    return unit


def _no_descriptor(file: OnnxFile, error: Exception) -> FeatureError:
    return FeatureError(
        f"{make_printable(file.name)} does not describe faces "
        f"({make_printable(str(error).strip())}). Use an ONNX file with an input of "
        "(n, 3, 112, 112) and an output of (n, d)."
    )
