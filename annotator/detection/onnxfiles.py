"""ONNX files for faces: found, fetched, checked, with their licences."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from annotator.errors import ExtraMissing, FeatureError
from annotator.features.weights import is_offline, require_package
from annotator.items.refs import make_printable
from annotator.items.user_folders import expand_home

INSTALL_COMMAND = "pip install 'annotator-tui[faces]'"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file on the Hugging Face Hub, with its hash and licence."""

    repository: str
    file: str
    sha256: str
    size: str
    licence: str


KNOWN_FILES = {
    "yunet": PublishedFile(
        "opencv/face_detection_yunet", "face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "0.2 MB", "MIT (Shiqi Yu, libfacedetection)",
    ),
    "sface": PublishedFile(
        "opencv/face_recognition_sface", "face_recognition_sface_2021dec.onnx",
        "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        "39 MB", "Apache-2.0 (Zhong et al., SFace)",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An ONNX file on this machine."""

    name: str
    """The name that the user gave."""
    path: Path
    sha256: str
    licence: str

    @property
    def short(self) -> str:
        """The name without folders and suffix."""
        return Path(self.name).stem


def find_onnx(name: str) -> OnnxFile:
    """Find the file of a known name, or a local file.

    A known file is fetched once, unless HF_HUB_OFFLINE is set, and its hash must be the published
    one. Raises `ExtraMissing` with the command that fetches it, `FeatureError` for other names.
    """
    local = expand_home(name)
    if local.is_file():
        return OnnxFile(
            name, local.resolve(), _sha256(local), "of your own file: check it yourself"
        )
    if name not in KNOWN_FILES:
        raise FeatureError(
            f"{make_printable(name)} is neither an ONNX file nor one of "
            f"{', '.join(KNOWN_FILES)}. Give the path of a file."
        )
    published = KNOWN_FILES[name]
    path = _fetch_file(name, published)
    found = _sha256(path)
    if found != published.sha256:
        raise FeatureError(
            f"{path} is not the published {published.file}: its sha256 is {found}, not "
            f"{published.sha256}. Delete it and fetch it again: hf download "
            f"{published.repository} {published.file} --force-download"
        )
    return OnnxFile(name, path, found, published.licence)


def _fetch_file(name: str, published: PublishedFile) -> Path:
    hub = require_package("huggingface_hub", INSTALL_COMMAND, alternative="")
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, file = published.repository, published.file
    try:
        return Path(hub.hf_hub_download(repository, file, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        if is_offline():
            raise OSError("HF_HUB_OFFLINE is set")
        # Not hf_hub_download: without a network it retries, and prints, for half a minute.
        path = Path(hub.snapshot_download(repository, allow_patterns=[file])) / file
        if not path.is_file():
            raise OSError(f"{repository} answered without {file}")
        return path
    except (OSError, HfHubHTTPError) as error:
        reason = make_printable((str(error).splitlines() or [type(error).__name__])[0])
        raise ExtraMissing(
            f"{name} is not on this machine, and cannot be fetched now ({reason}).\n"
            f"With a network, run: hf download {repository} {file}   ({published.size}, "
            f"{published.licence})\n"
            "Or give the path of your own .onnx file."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
