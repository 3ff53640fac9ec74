"""HEIC, JPEG XL, AVIF, DICOM and animations: their pixels, or the command that is missing."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from annotator.errors import ImageError
from annotator.images import ImageFolder
from annotator.images.openers import read_jxl_size
from annotator.items.refs import Item
from annotator.project.display_window import SetWindow
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.images.shown_pixels import WHOLE, pixels, scene, show


def close_to_scene(path: Path) -> bool:
    return bool(np.abs(pixels(path) - np.asarray(scene()))[4:20, 4:28].max() <= 12)


@pytest.mark.parametrize("suffix", ["jfif", "jpe"])
def test_other_endings_of_jpeg(tmp_path: Path, suffix: str) -> None:
    scene().save(tmp_path / f"a.{suffix}", "JPEG", quality=95, subsampling=0)
    assert close_to_scene(tmp_path / f"a.{suffix}")


def test_avif(tmp_path: Path) -> None:
    if not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    scene().save(tmp_path / "a.avif", quality=95)
    assert close_to_scene(tmp_path / "a.avif")


def test_heic_upright(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(scene()).save(tmp_path / "a.heic", quality=95)
    assert close_to_scene(tmp_path / "a.heic")
    assert show(tmp_path / "a.heic", size=(16, 12)).image.size == (16, 12)
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[274] = 6  # the camera stood upright
    scene().save(tmp_path / "b.heic", quality=95, exif=exif.tobytes())
    assert ImageFolder(tmp_path).size(Item("b.heic")) == (48, 64)
    assert show(tmp_path / "b.heic").image.size == (48, 64)


def test_jpeg_xl(tmp_path: Path) -> None:
    plugin = pytest.importorskip("pillow_jxl.JpegXLImagePlugin")
    assert plugin.JXLImageFile.format == "JXL"
    scene().save(tmp_path / "a.jxl", lossless=True)
    assert np.array_equal(pixels(tmp_path / "a.jxl"), np.asarray(scene()))


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (640, 480), (1000, 37), (3000, 2000)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jpeg_xl_file_is_known_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int], container: bool
) -> None:
    pytest.importorskip("pillow_jxl.JpegXLImagePlugin")
    path = tmp_path / "a.jxl"
    Image.new("RGB", size).save(path, use_container=container, effort=1)
    assert read_jxl_size(path.read_bytes()) == size
    with pytest.raises(ImageError, match="more than the limit"):
        ImageFolder(tmp_path, max_pixels=size[0] * size[1] - 1).crop(Item("a.jxl"), (9, 9))


@pytest.mark.parametrize(
    ("package", "head", "command"),
    [
        ("pillow_heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "annotator-tui[heif]"),
        ("pillow_jxl.JpegXLImagePlugin", b"\xff\x0a\x00\x00", "annotator-tui[jxl]"),
        ("pydicom", bytes(128) + b"DICM", "annotator-tui[dicom]"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, head: bytes, command: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.bin").write_bytes(head + bytes(64))
    with pytest.raises(ImageError, match=rf"pip install '{command}'".replace("[", r"\[")):
        show(tmp_path / "a.bin")


@pytest.mark.parametrize(("suffix", "name"), [("gif", "GIF"), ("webp", "WebP"), ("png", "PNG")])
def test_of_an_animation_the_first_frame_is_shown_and_said(
    tmp_path: Path, suffix: str, name: str
) -> None:
    frames = [Image.new("RGB", (16, 12), (60 * n, 60 * n, 60 * n)) for n in range(1, 4)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(pixels(path) - 60).max() <= 2
    assert show(path).note == f"first frame of an animated {name}"
    frames[0].save(tmp_path / f"b.{suffix}")
    assert show(tmp_path / f"b.{suffix}").note == ""


# --- DICOM


def save_dicom(path: Path, values: np.ndarray[Any, Any], syntax: str = "", **tags: Any) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.UID(syntax or "1.2.840.10008.1.2.1")
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.Rows, data.Columns = values.shape[-2:] if values.ndim == 2 else values.shape[:2]
    data.SamplesPerPixel = 3 if values.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        data.PlanarConfiguration = 0
    bits = 8 * values.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(data, name, value)
    if "PixelData" not in tags:
        data.PixelData = values.tobytes()
    data.save_as(path, enforce_file_format=True)


def people_see(folder: Path, name: str) -> np.ndarray[Any, Any]:
    images = folder if folder.is_absolute() else folder.resolve()
    settings = Settings((ClassInfo("a"), ClassInfo("b")), images=str(images))
    project = ProjectFolder.create(folder / "p", settings)
    crop = ImageFolder(images, find_window=SetWindow(project)).crop(Item(name), WHOLE)
    return np.asarray(crop.image)[..., 0].astype(int)


CT = np.array([[0, 864, 1064, 1264, 2000]], np.int16)
"""Air, and the ends and the middle of a window of soft tissue, in stored values."""


def test_a_ct_slice_is_shown_in_its_own_window(tmp_path: Path) -> None:
    save_dicom(
        tmp_path / "ct.dcm", CT, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40,
        WindowWidth=400,
    )  # fmt: skip
    for found in (pixels(tmp_path / "ct.dcm")[..., 0], people_see(tmp_path, "ct.dcm")):
        air, low, middle, high, bone = found[0].tolist()
        assert air == low == 0 and high >= 254 and bone == 255 and abs(middle - 128) <= 1


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(1, -1)
    save_dicom(tmp_path / "x.dcm", ramp, PhotometricInterpretation="MONOCHROME1")
    for found in (pixels(tmp_path / "x.dcm")[..., 0], people_see(tmp_path, "x.dcm")):
        assert found[0, 0] > 240 and found[0, -1] < 15 and (np.diff(found[0]) <= 0).all()


def test_colours_of_dicom(tmp_path: Path) -> None:
    save_dicom(tmp_path / "c.dcm", np.asarray(scene()))
    assert np.array_equal(pixels(tmp_path / "c.dcm"), np.asarray(scene()))


def test_a_file_of_many_frames_names_the_way_to_split_it(tmp_path: Path) -> None:
    values = np.zeros((2, 4, 6), np.uint16)
    save_dicom(tmp_path / "m.dcm", values[0], NumberOfFrames=2, PixelData=values.tobytes())
    with pytest.raises(ImageError, match=r"2 frames.*dcm2img --all-frames"):
        show(tmp_path / "m.dcm")


def test_a_report_has_no_pixels(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    save_dicom(tmp_path / "a.dcm", CT)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    for name in ("PixelData", "Rows", "Columns"):
        delattr(data, name)
    data.save_as(tmp_path / "sr.dcm")
    with pytest.raises(ImageError, match="no picture"):
        show(tmp_path / "sr.dcm")


def test_a_compression_without_its_package_names_the_command(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLSLossless

    if get_decoder(JPEGLSLossless).is_available:
        pytest.skip("a package for JPEG-LS is installed")
    data = encapsulate([b"\xff\xd8" + bytes(64)])
    save_dicom(tmp_path / "a.dcm", CT, str(JPEGLSLossless), PixelData=data)
    with pytest.raises(ImageError, match="pip install pylibjpeg pylibjpeg-libjpeg"):
        show(tmp_path / "a.dcm")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("slope", ["1e38", "1e300", "-1e38"])
def test_an_absurd_rescale_of_dicom_has_a_picture_without_a_warning(
    tmp_path: Path, slope: str
) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    save_dicom(tmp_path / "a.dcm", ramp, RescaleSlope=slope)
    assert show(tmp_path / "a.dcm").source == (64, 64)
    assert people_see(tmp_path, "a.dcm").shape[:2] == (64, 64)


def test_an_enormous_dicom_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", CT, Rows=60_000, Columns=60_000)
    with pytest.raises(ImageError, match="more than the limit"):
        show(tmp_path / "a.dcm")


def test_a_deflated_dicom_file_is_never_inflated(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", CT)
    whole = (tmp_path / "a.dcm").read_bytes()
    at = whole.index(b"1.2.840.10008.1.2.1\0") - 8
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = bomb.compress(bytes(50_000_000)) + bomb.flush()
    syntax = b"1.2.840.10008.1.2.1.99"
    head = whole[: at + 6] + len(syntax).to_bytes(2, "little") + syntax
    grown = int.from_bytes(whole[140:144], "little") + len(syntax) - 20
    rest = whole[at + 8 + 20 : 144 + int.from_bytes(whole[140:144], "little")]
    (tmp_path / "b.dcm").write_bytes(
        head[:140] + grown.to_bytes(4, "little") + head[144:] + rest + body
    )
    with pytest.raises(ImageError, match="deflated"):
        show(tmp_path / "b.dcm")


@pytest.mark.parametrize("start", [
    b"\2\0\x10\0UI\x16\0",  # without the first 132 bytes of a DICOM file
    b"\2\0\x10\0\x16\0\0\0",  # and without the kind of the value
    bytes(128) + b"DICM" + b"\2\0\x10\0\x16\0\0\0",
])  # fmt: skip
def test_a_deflated_file_with_an_odd_start_is_never_inflated(tmp_path: Path, start: bytes) -> None:
    pytest.importorskip("pydicom")
    body = zlib.compress(bytes(50_000_000), 9, -15)
    (tmp_path / "b.dcm").write_bytes(start + b"1.2.840.10008.1.2.1.99" + body)
    with pytest.raises(ImageError, match="deflated"):
        show(tmp_path / "b.dcm")


def test_damage_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", np.arange(4096, dtype=np.uint16).reshape(64, 64))
    whole = (tmp_path / "a.dcm").read_bytes()
    rng = np.random.default_rng(0)
    for attempt in range(150):
        data = bytearray(whole[: rng.integers(1, len(whole))] if attempt % 3 else whole)
        for place in rng.integers(0, min(len(data), 700), 8):
            data[place] = rng.integers(256)
        (tmp_path / "b.dcm").write_bytes(data)
        try:
            show(tmp_path / "b.dcm")
        except ImageError as error:
            assert "b.dcm" in str(error) and "\x1b" not in str(error)
