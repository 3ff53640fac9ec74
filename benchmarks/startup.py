"""`annotator --help` beside a bare Typer program and a bare interpreter: medians, milliseconds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

BARE = """
import typer
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def hello(name: str = "you") -> None:
    "Say hello."
    print(name)
app()
"""
RUNS = 21


def measure(commands: dict[str, list[str]]) -> dict[str, float]:
    """Interleaved, so that what else the machine does falls on all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: median(values[1:]) for name, values in times.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        executable = str(Path(sys.executable).with_name("annotator"))
        found = measure(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "bare Typer program --help": [sys.executable, str(bare), "--help"],
                "annotator --help": [executable, "--help"],
            }
        )
    for name, value in found.items():
        print(f"{name:28} {value:6.1f} ms")
    ratio = found["annotator --help"] / found["bare Typer program --help"]
    print(f"annotator / bare Typer: {ratio:.2f} (goal: at most 1.3)")


if __name__ == "__main__":
    main()
