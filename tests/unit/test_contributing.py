"""CONTRIBUTING shows the house as it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAME = re.compile(r"(?:\w+\.py|\w+/)(?=\s|$)")


def house() -> set[Path]:
    """Return the files and folders that the tree of the house names."""
    found: set[Path] = set()
    folders: dict[int, Path] = {}
    tree = TEXT.partition("## The house")[2].split("```")[1]
    for line in tree.strip("\n").splitlines():
        indent = len(line) - len(line.lstrip())
        folders = {level: folder for level, folder in folders.items() if level < indent}
        parent = folders[max(folders)] if folders else ROOT
        names = line.split()
        while names and NAME.fullmatch(names[0]):  # several files may share a line
            found.add(parent / names.pop(0))
        if line.split()[0].endswith("/"):
            folders[indent] = parent / line.split()[0]
    return found


def test_the_house_is_as_it_is_drawn() -> None:
    """Every name in the tree exists, and every room of the package is in the tree."""
    drawn = house()
    package = ROOT / "eventwriter"
    rooms = {path for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}

    assert [] == [path for path in drawn if not path.exists()]
    assert set() == {path for path in rooms if path.name != "__pycache__"} - drawn


def test_journeys_pass_files_that_are_there() -> None:
    """Every file that a journey or the table of additions names exists."""
    text = TEXT.partition("### Journeys")[2]
    names = {name for name in re.findall(r"`([\w/]+\.py)`", text) if not name.isupper()}
    missing = [
        name
        for name in names
        if not re.search("[A-Z]{3}", name)  # a placeholder, such as records/KIND.py
        and not list(ROOT.glob(f"eventwriter/{name}"))
        and not list(ROOT.glob(f"eventwriter/*/{name}"))
        and not (ROOT / name).exists()
    ]

    assert [] == missing
    assert len(names) > 20
