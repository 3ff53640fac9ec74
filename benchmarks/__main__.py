"""Run every benchmark, one after the other: `python -m benchmarks [NAME …] [OPTION …]`."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from pathlib import Path


def names() -> list[str]:
    found = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    return [name for name in found if not name.startswith("_")]


def main() -> int:
    at = next((n for n, word in enumerate(sys.argv) if word.startswith("-")), len(sys.argv))
    wanted = sys.argv[1:at] or names()
    sys.argv = [sys.argv[0], *sys.argv[at:]]
    failed = []
    for name in wanted:
        print(f"\n=== {name}", flush=True)
        begun = time.monotonic()
        try:
            module = importlib.import_module(f"benchmarks.{name}")
            if hasattr(module, "main"):
                module.main()
        except (Exception, SystemExit):
            traceback.print_exc()
            failed.append(name)
        print(f"({time.monotonic() - begun:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main())
