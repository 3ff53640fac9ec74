"""Faces with five landmarks, by YuNet or any ONNX of the same contract, through OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from annotator.detection.detections import Detections
from annotator.detection.detectors import SCORE_FLOOR, PreparedImage
from annotator.detection.onnxfiles import INSTALL_COMMAND, OnnxFile, find_onnx
from annotator.errors import FeatureError
from annotator.features.weights import require_package
from annotator.items.refs import make_printable

FACE = "face"
FLIP_INDICES = (1, 0, 2, 4, 3)
"""In a mirrored face the left eye is the right one, and so are the corners of the mouth."""
MAX_FACE_INPUT = 1280
"""Pixels: larger pictures are made smaller. YuNet was trained on faces of 10 to 300 pixels."""
_NMS_IOU = 0.3
_MAX_FACES = 5000


class FaceDetector:
    """A `Detector` of faces by `cv2.FaceDetectorYN`."""

    classes: tuple[str, ...] = (FACE,)
    batch_size = 1
    threads = 1
    flip_indices: tuple[int, ...] = FLIP_INDICES

    def __init__(self, name: str = "yunet", longest: int = MAX_FACE_INPUT) -> None:
        """Open YuNet, or an ONNX file of the same contract.

        Raises `ExtraMissing` without OpenCV or weights, `FeatureError` for another ONNX file.
        """
        cv2 = import_cv2()
        self.file: OnnxFile = find_onnx(name)
        self.name, self._longest = name, longest
        self._lock = threading.Lock()
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(self.file.path), "", (320, 320), SCORE_FLOOR, _NMS_IOU, _MAX_FACES
            )
            self._run(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise FeatureError(
                f"{make_printable(name)} does not open as a face detector "
                f"({make_printable(str(error).strip())}). Use an ONNX file with the inputs and "
                "outputs of YuNet, which has five landmarks."
            ) from error

    def describe(self) -> dict[str, Any]:
        """Return all that its answers depend on, as plain JSON."""
        return {"model": self.name, "weights": self.file.sha256, "longest": self._longest}

    def shrink(self, size: tuple[int, int]) -> float:
        """Return the scale at which a picture of (width, height) gives the same answer."""
        return min(1.0, self._longest / max(size))

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> PreparedImage:
        """Return the pixels as OpenCV takes them, at most `longest` on a side."""
        if max(picture.size) > self._longest:
            picture = picture.copy()
            picture.thumbnail((self._longest, self._longest), Image.Resampling.BICUBIC)
        pixels = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
        return PreparedImage({"pixels": pixels}, size)

    def detect(self, batch: Sequence[PreparedImage]) -> list[Detections | str]:
        """Return the faces of each picture, or the reason why OpenCV fails on it."""
        return [self._faces(each) for each in batch]

    def _faces(self, prepared: PreparedImage) -> Detections | str:
        cv2 = import_cv2()
        pixels = prepared.inputs["pixels"]
        try:
            with self._lock:
                rows = self._run(pixels)
        except cv2.error as error:
            return f"OpenCV does not run {self.name} on it: {make_printable(str(error).strip())}"
        scale = np.array(prepared.size) / (pixels.shape[1], pixels.shape[0])
        corners = np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        points = rows[:, 4:14].reshape(-1, 5, 2) * scale
        return Detections(corners * np.tile(scale, 2), rows[:, 14], (FACE,) * len(rows), points)

    def _run(self, pixels: Any) -> Any:
        """Return rows (n, 15): left, top, width, height, five points, score."""
        self._network.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = self._network.detect(pixels)
        if rows is None:
            return np.zeros((0, 15))
        return np.asarray(rows, np.float64).reshape(-1, 15)


def import_cv2() -> Any:
    """Import OpenCV with its warnings off, which would be drawn over the progress."""
    cv2 = require_package("cv2", INSTALL_COMMAND, alternative="")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return cv2
