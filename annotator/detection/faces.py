"""Faces with five landmarks, by YuNet or any ONNX of the same contract, through OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from annotator.detection.detections import Detections
from annotator.detection.detectors import FLOOR, Prepared
from annotator.detection.onnxfiles import INSTALL, OnnxFile, find_onnx
from annotator.errors import FeatureError
from annotator.features.weights import needed
from annotator.items.refs import printable

FACE = "face"
SWAPS = (1, 0, 2, 4, 3)
"""In a mirrored face the left eye is the right one, and so are the corners of the mouth."""
LONGEST = 1280
"""Pixels: larger pictures are made smaller first. YuNet was trained on faces of 10 to 300."""
_NMS = 0.3
_MOST = 5000


class FaceDetector:
    """A `Detector` of faces by `cv2.FaceDetectorYN`."""

    classes: tuple[str, ...] = (FACE,)
    batch_size = 1
    threads = 1
    swaps: tuple[int, ...] = SWAPS

    def __init__(self, name: str = "yunet", longest: int = LONGEST) -> None:
        """Raises `ExtraMissing` without OpenCV or weights, `FeatureError` for another ONNX."""
        cv2 = open_cv()
        self.file: OnnxFile = find_onnx(name)
        self.name, self._longest = name, longest
        self._lock = threading.Lock()
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(self.file.path), "", (320, 320), FLOOR, _NMS, _MOST
            )
            self._run(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise FeatureError(
                f"{printable(name)} does not open as a face detector with five landmarks, as YuNet "
                f"is ({printable(str(error).strip())})"
            ) from error

    def describe(self) -> dict[str, Any]:
        return {"model": self.name, "weights": self.file.sha256, "longest": self._longest}

    def shrink(self, size: tuple[int, int]) -> float:
        return min(1.0, self._longest / max(size))

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> Prepared:
        if max(picture.size) > self._longest:
            picture = picture.copy()
            picture.thumbnail((self._longest, self._longest), Image.Resampling.BICUBIC)
        pixels = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
        return Prepared({"pixels": pixels}, size)

    def detect(self, batch: Sequence[Prepared]) -> list[Detections | str]:
        return [self._faces(each) for each in batch]

    def _faces(self, prepared: Prepared) -> Detections | str:
        cv2 = open_cv()
        pixels = prepared.inputs["pixels"]
        try:
            with self._lock:
                rows = self._run(pixels)
        except cv2.error as error:
            return f"OpenCV does not run {self.name} on it: {printable(str(error).strip())}"
        scale = np.array(prepared.size) / (pixels.shape[1], pixels.shape[0])
        corners = np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        points = rows[:, 4:14].reshape(-1, 5, 2) * scale
        return Detections(corners * np.tile(scale, 2), rows[:, 14], (FACE,) * len(rows), points)

    def _run(self, pixels: Any) -> Any:
        """(n, 15) left, top, width, height, five points, score."""
        self._network.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = self._network.detect(pixels)
        if rows is None:
            return np.zeros((0, 15))
        return np.asarray(rows, np.float64).reshape(-1, 15)


def open_cv() -> Any:
    """OpenCV, quiet: its warnings would be drawn over the progress."""
    cv2 = needed("cv2", INSTALL, instead="")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return cv2
