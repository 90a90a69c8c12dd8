"""The examples in documents and docstrings, as code that tests can run."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any, NamedTuple

import eventwriter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = Path(eventwriter.__file__).parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "examples/README.md")
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What follows a blank line and is indented. A section such as "Args:" has no blank line below it.
INDENTED = re.compile(r"(?<=\n\n)(?: {4,}\S[^\n]*\n+)+", re.MULTILINE)


class Example(NamedTuple):
    """Code in a document or a docstring.

    Attributes:
        place: The file and the line where it begins.
        code: Without its indentation.
    """

    place: str
    code: str

    @property
    def needs(self) -> str:
        """Return the tests that can run this: "unit", "frameworks", or "e2e" for Graphviz."""
        if "plot_graph(" in self.code:
            return "e2e"
        return "frameworks" if self.framework else "unit"

    @property
    def framework(self) -> str:
        """Return the folder in `integrations` that this is about, or nothing."""
        found = re.search(r"eventwriter[./]integrations[./](\w+)", self.place + self.code)
        return found[1] if found else ""

    def run(self, names: dict[str, Any]) -> None:
        """Run the code.

        Args:
            names: What the reader of the example has: modules, a model, data. Any other name that
                the code does not define itself is an error.
        """
        # In a function, since an example may be a part of one and use `nonlocal`.
        code = f"def example():\n{indent(self.code, '    ')}\nexample()"
        exec(compile(code, self.place, "exec"), dict(names))


def in_documents() -> list[Example]:
    """Return every Python block of the documents."""
    return [
        Example(f"{name}:{text[: match.start(1)].count(chr(10)) + 1}", match[1])
        for name in DOCUMENTS
        for text in [(ROOT / name).read_text("utf-8")]
        for match in FENCED.finditer(text)
    ]


def in_docstrings() -> list[Example]:
    """Return every indented block of the package's docstrings, be it Python or not."""
    return [
        example
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.name.endswith("_pb2.py")
        for example in _of_module(path)
    ]


def _of_module(path: Path) -> Iterator[Example]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node)
            for match in INDENTED.finditer(f"{text}\n" if text else ""):
                line = node.body[0].lineno + text[: match.start()].count("\n")
                yield Example(f"{path.relative_to(ROOT)}:{line}", dedent(match[0]).rstrip() + "\n")


def examples(needs: str) -> list[Example]:
    """Return what is Python and can be run by these tests."""
    found = [*in_documents(), *(example for example in in_docstrings() if is_python(example.code))]
    return [example for example in found if example.needs == needs]


def is_python(code: str) -> bool:
    """Whether code can be parsed."""
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True
