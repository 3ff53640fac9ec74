"""Single frames of DICOM files, as grey values in their own units, or as RGB.

`image.info["window"]` is the window of the file (its centre and width as two ends), and
`image.info["inverted"]` is True if low values are bright (MONOCHROME1).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from annotator.errors import ImageError
from annotator.items.image_kinds import refuse_large
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_MOST_BYTES = 4 << 30
"""Bytes of the largest file that is read."""
_HEADER_TAGS = [
    "SOPClassUID", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation",
    "PlanarConfiguration", "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope",
    "RescaleIntercept",
]  # fmt: skip
_PIXEL_TAGS = [
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "PixelPaddingValue",
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue")
      for part in ("Descriptor", "Data")),
]  # fmt: skip
_PACKAGES = {
    "RLE": "pylibjpeg pylibjpeg-rle",
    "JPEG 2000": "pylibjpeg pylibjpeg-openjpeg",
    "HTJ2K": "pylibjpeg pylibjpeg-openjpeg",
    "High-Throughput": "pylibjpeg pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg pylibjpeg-libjpeg",
}
"""A part of the name of a transfer syntax to the packages that decode it."""


def read_dicom(file: Any, name: str, max_pixels: int) -> Image.Image:
    """Return an image that reads its pixels when it is loaded.

    Raises `ImageError` for a file without a single frame, or one that cannot be read.
    """
    try:
        header = _read_header(file, name)
        return _DicomImage(file, name, header, max_pixels)
    except ImageError:
        raise
    except Exception as error:  # pydicom answers a hostile file with any error
        raise _damage(name, error) from error


def _damage(name: str, error: BaseException) -> ImageError:
    reason = make_printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
    return ImageError(f"{name}: the DICOM file is damaged ({reason[:200]}). Replace or skip it.")


def _read_header(file: Any, name: str) -> Dataset:
    """Return the data set without its pixels."""
    import pydicom

    if _is_deflated(file):  # pydicom would inflate it without a limit
        raise ImageError(
            f"{name}: the whole DICOM file is deflated, which is not read here. Write it anew: "
            "dcmconv +te in.dcm out.dcm"
        )
    file.seek(0)
    return pydicom.dcmread(
        file, stop_before_pixels=True, force=True, specific_tags=list(_HEADER_TAGS)
    )


def _is_deflated(file: Any) -> bool:
    """Return whether pydicom would inflate the file: it reads the syntax also where the file lacks
    its first 132 bytes, or writes it in the other of two ways."""
    from pydicom.filereader import read_dataset

    file.seek(0)
    start = 132 if file.read(132)[128:] == b"DICM" else 0
    for implicit in (False, True):
        file.seek(start)
        with contextlib.suppress(Exception):  # a damaged file: so says pydicom, when it is read
            meta = read_dataset(
                file, implicit, True, stop_when=lambda tag, vr, size: tag >> 16 != 2
            )
            if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
                return True
    return False


class _DicomImage(Image.Image):
    """An image whose pixels are read by pydicom when it is loaded."""

    format = "DICOM"

    def __init__(self, file: Any, name: str, header: Dataset, max_pixels: int) -> None:
        super().__init__()
        self._file, self._name, self._header = file, name, header
        self._loaded = False
        self._size = _size(header, name)
        self._mode = "RGB" if int(header.get("SamplesPerPixel") or 1) == 3 else "F"
        self._refuse_odd(max_pixels)
        if self._mode == "F":
            self.info["inverted"] = _photometric(header) == "MONOCHROME1"
            if (window := _file_window(header)) is not None:
                self.info["window"] = window

    def _refuse_odd(self, max_pixels: int) -> None:
        header, name = self._header, self._name
        frames, samples = int(header.get("NumberOfFrames") or 1), header.get("SamplesPerPixel") or 1
        if frames != 1:
            raise ImageError(
                f"{name}: the DICOM file has {frames} frames, and only single frames are read. "
                "Write each frame to a file of its own: dcm2img --all-frames in.dcm frame"
            )
        if samples not in (1, 3):
            raise ImageError(f"{name}: {samples} values for each pixel are not read. Skip it.")
        refuse_large(name, *self._size, max_pixels)

    def load(self) -> Any:
        """Decode the pixels, once."""
        if not self._loaded:
            found = self._decode()
            self.im, self._mode, self._size = found.im, found.mode, found.size
            self._loaded = True
        return super().load()

    def _decode(self) -> Image.Image:
        try:
            values = self._read_pixels()
        except ImageError:
            raise
        except Exception as error:  # as above
            raise _damage(self._name, error) from error
        width, height = self._size
        if values.shape[:2] != (height, width):
            raise _damage(self._name, ValueError("its pixels are of another size"))
        if values.ndim == 3:
            return Image.fromarray(_to_bytes(values, self._header))
        slope, intercept = _rescale(self._header)
        with np.errstate(all="ignore"):  # a file may give any numbers
            return Image.fromarray(values.astype(np.float32) * slope + intercept)

    def _read_pixels(self) -> np.ndarray[Any, Any]:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut, convert_color_space
        from pydicom.uid import ImplicitVRLittleEndian

        if self._file.seek(0, 2) > _MOST_BYTES:
            raise ImageError(f"{self._name}: the DICOM file has more than 4 GB. Skip it.")
        self._file.seek(0)
        tags = [*_HEADER_TAGS, *_PIXEL_TAGS]
        whole = pydicom.dcmread(self._file, force=True, specific_tags=tags)
        if not any(key in whole for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
            raise ImageError(
                f"{self._name}: the DICOM file has no pixels (a report, a plan or a directory). "
                "Skip it."
            )
        if "TransferSyntaxUID" not in whole.file_meta:
            whole.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        syntax = whole.file_meta.TransferSyntaxUID
        if syntax.is_compressed and not _is_decodable(syntax):
            raise ImageError(
                f"{self._name}: its compression ({make_printable(syntax.name)}) needs another "
                f"package. Install it: pip install {_packages_for(syntax.name)}"
            )
        pixels: np.ndarray[Any, Any] = whole.pixel_array
        photometric = _photometric(whole)
        if photometric == "PALETTE COLOR":
            return np.asarray(apply_color_lut(pixels, whole))
        if photometric.startswith("YBR") and pixels.ndim == 3 and not syntax.is_compressed:
            return np.asarray(convert_color_space(pixels, photometric, "RGB"))
        return pixels


def _size(header: Dataset, name: str) -> tuple[int, int]:
    width, height = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    if width <= 0 or height <= 0:
        raise ImageError(
            f"{name}: the DICOM file has no picture (a report, a plan or a directory). Skip it."
        )
    return width, height


def _photometric(header: Dataset) -> str:
    return str(header.get("PhotometricInterpretation") or "").strip()


def _first_number(value: object) -> float | None:
    """Return the first of one or several numbers."""
    try:
        parts: Any = value
        number = float(parts if isinstance(value, str | int | float) else parts[0])
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
    return number if np.isfinite(number) else None


def _file_window(header: Dataset) -> tuple[float, float] | None:
    """Return the ends of the file's first window; None without one."""
    centre = _first_number(header.get("WindowCenter"))
    width = _first_number(header.get("WindowWidth"))
    if centre is None or width is None or width < 1:
        return None
    if "EXACT" in str(header.get("VOILUTFunction") or ""):
        return centre - width / 2, centre + width / 2
    # PS3.3 C.11.2.1.2: LINEAR maps c - 0.5 - (w - 1) / 2 to black, c - 0.5 + (w - 1) / 2 to white.
    half = max(0.5, (width - 1) / 2)
    return centre - 0.5 - half, centre - 0.5 + half


def _rescale(header: Dataset) -> tuple[np.float32, np.float32]:
    slope, intercept = (
        _first_number(header.get("RescaleSlope")), _first_number(header.get("RescaleIntercept"))
    )  # fmt: skip
    with np.errstate(all="ignore"):  # as above
        return np.float32(slope or 1.0), np.float32(intercept or 0.0)


def _to_bytes(values: np.ndarray[Any, Any], header: Dataset) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values[..., :3])
    palette = _photometric(header) == "PALETTE COLOR"  # its colours fill 16 bits
    bits = 16 if palette else int(header.get("BitsStored") or 16)
    top = float((1 << min(bits, 32)) - 1)
    return np.clip(values[..., :3] * (255 / top), 0, 255).astype(np.uint8)


def _is_decodable(syntax: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _packages_for(syntax: str) -> str:
    return next((names for part, names in _PACKAGES.items() if part in syntax), "python-gdcm")
