"""What one picture weighs in each technique, beside what other tools send."""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from annotator.terminal.backend import Area
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for
from tests.terminal.real.real_terminals import TRIXIE


def payload(folder: Path, keys: int) -> None:
    """Bytes and quality of one photograph sent ahead, in an area of 520x391 pixels."""
    print("\npayload of a photograph of 640x480 for 520x391 pixels (medians)")
    area = Area(0, 0, 65, 23, (8, 17))
    files = sorted(folder.iterdir())
    for technique in (Technique.FRAMES, Technique.SIXEL, Technique.ITERM, Technique.HALFCELL):
        backend = backend_for(TerminalCapabilities(technique))
        for rung in backend.ladder:
            sizes = [backend.encode(Image.open(f).convert("RGB"), area, rung).size for f in files]
            print(f"  ours, {technique:12} {rung.name:22} {statistics.median(sizes):9,.0f} bytes")
    levels = [_quality(Image.open(file).convert("RGB"), area) for file in files]
    print(f"  ours, kitty-frames, 3/4 size: {statistics.median(levels):.1f} dB PSNR")
    for name, size in _others(files):
        print(f"  {name:36} {size:9,.0f} bytes")


def _quality(image: Image.Image, area: Area) -> float:
    """PSNR in dB of the palette picture, as the terminal scales it up, against the exact one."""
    from annotator.terminal.fit import fit_size, make_canvas

    rung = backend_for(TerminalCapabilities(Technique.FRAMES)).ladder[1]
    size = fit_size(image.size, area.size)
    exact = np.asarray(image.resize(size, Image.Resampling.BICUBIC), float)
    small = (round(size[0] / rung.shrink), round(size[1] / rung.shrink))
    sent = make_canvas(image, small, rung.colours).convert("RGB")
    coarse = np.asarray(sent.resize(size, Image.Resampling.BILINEAR), float)
    return float(20 * np.log10(255 / np.sqrt(((exact - coarse) ** 2).mean())))


def _others(files: list[Path]) -> Iterator[tuple[str, float]]:
    yield "textual-image, kitty", statistics.median(_textual_image(file) for file in files)
    tools = {
        "timg, kitty": ["timg", "-pk", "-g65x23"],
        "timg, sixel": ["timg", "-ps", "-g65x23"],
        "chafa, kitty": ["chafa", "-f", "kitty", "-s", "65x23"],
        "chafa, sixel": ["chafa", "-f", "sixels", "-s", "65x23"],
    }
    for name, command in tools.items():
        run = _tool(command[0])
        if run is None:
            print(f"  {name}: not installed")
            continue
        whole = [*run, *command[1:]]
        out = [subprocess.run([*whole, str(f)], capture_output=True, check=True) for f in files]
        yield name, statistics.median(len(done.stdout) for done in out)


def _tool(name: str) -> list[str] | None:
    if shutil.which(name):
        return [name]
    inside = (TRIXIE / "usr/bin" / name).exists()
    return ["chroot", str(TRIXIE), name] if inside else None


def _textual_image(file: Path) -> int:
    """What its kitty renderer writes: a PNG scaled to the cells, in base64 pieces of 4096."""
    image = Image.open(file).convert("RGB").resize((520, 391), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    size = -(-len(buffer.getvalue()) // 3) * 4
    return size + 20 * -(-size // 4096) + 65 * 23 * 11
