"""What runs in a process of its own: every case of some questions, for one contender.

    python -m benchmarks.child CONTENDER full|quick OUTPUT QUESTION...

A line of JSON goes to OUTPUT for each case as soon as it is measured, so that what comes
before a crash or a time limit is kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.question import NotMeasuredError
from benchmarks.questions import load
from benchmarks.writers import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.question import Metrics, Question


def outcome(measure: Callable[[Path], Metrics]) -> dict[str, Any]:
    """Return the metrics of a case, or a note on why there are none."""
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
            return {"metrics": measure(Path(directory))}
    except ModuleNotFoundError as error:
        return {"note": f"not installed: {error.name}"}
    except NotMeasuredError as reason:
        return {"note": str(reason)}
    except Exception as error:  # noqa: BLE001 - a peer may raise anything, and the rest goes on
        text = str(error).strip() or "no message"
        return {"note": f"failed: {type(error).__name__}: {text.splitlines()[0]}"}


def measurement(question: Question, contender: str, case: Any) -> Callable[[Path], Metrics]:
    """Return what measures a case, for a library or a reference."""
    if contender in LIBRARIES:
        return lambda directory: question.measure(LIBRARIES[contender], case, directory)
    return lambda directory: question.references[contender](case, directory)


def main(contender: str, size: str, output: str, *names: str) -> None:
    with Path(output).open("a") as lines:
        for name in names:
            question = load(name)
            for case_name, case in question.cases(size == "quick").items():
                found = outcome(measurement(question, contender, case))
                print(json.dumps({"question": name, "case": case_name} | found), file=lines)
                lines.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
