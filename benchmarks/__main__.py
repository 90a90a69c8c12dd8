"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import report
from benchmarks.plot import plot
from benchmarks.questions import NAMES, load
from benchmarks.runner import run


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    it = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What logging costs, beside other writers of event files, on this machine.",
        epilog="What is done now, and for how long, goes to stderr. Files are written at the end.",
    )
    it.add_argument(
        "--only",
        metavar="NAME",
        choices=NAMES,
        action="append",
        help=f"one of {', '.join(NAMES)}; may be given more than once",
    )
    it.add_argument("--quick", action="store_true", help="see that all works; figures mean nothing")
    it.add_argument("--json", metavar="FILE", type=Path, help="write all figures of all rounds")
    it.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the headline figures")
    it.add_argument("--versions", action="store_true", help="print what is compared, and where")
    return it


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = parser().parse_args(arguments)
    print(report.versions_text())
    if options.versions:
        return 0
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {line}", file=sys.stderr, flush=True)

    names = [name for name in NAMES if options.only is None or name in options.only]
    found = run(names, quick=options.quick, tell=tell)
    for name, results in found.items():
        print(f"\n{report.table(load(name), results)}")
    print(f"\n{report.summary(found)}")
    if options.quick:
        print("\nA quick run: everything works, and the figures mean nothing.")
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(found), indent=1) + "\n")
    if options.plot is not None:
        plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
