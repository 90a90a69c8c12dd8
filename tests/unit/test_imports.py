"""What `import eventwriter` loads, what its face is, and which way its imports point."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eventwriter
from tests.helpers.patience import LONG_SECS

PACKAGE = Path(eventwriter.__file__).parent
FRAMEWORKS = ["equinox", "flax", "jax", "keras", "lightgbm", "lightning", "matplotlib", "onnx"]
FRAMEWORKS += ["pandas", "PIL", "scipy", "sklearn", "tensorboard", "tensorboardX", "tensorflow"]
FRAMEWORKS += ["torch", "tqdm", "xgboost"]
# Stand-ins, so that each framework is there to be found, whatever is installed.
MAKE_INSTALLED = """
import importlib.abc, importlib.machinery, sys
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FRAMEWORKS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec): return None
    def exec_module(self, module): pass
sys.meta_path.insert(0, Finder())
"""


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter where every framework is installed; return who is loaded."""
    code = (
        f"FRAMEWORKS = {FRAMEWORKS}\n{MAKE_INSTALLED}\n{code}\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & set(FRAMEWORKS)))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_SECS, check=True
    )
    return set(child.stdout.split())


def test_import_loads_no_framework() -> None:
    """`import eventwriter` loads no framework and no TensorBoard, even where they are installed."""
    assert set() == loaded_by("import eventwriter")


def test_logging_loads_no_framework(tmp_path: Path) -> None:
    """Nor does logging every kind of record."""
    code = f"""
import numpy, eventwriter, eventwriter.graphs
graph = eventwriter.graphs.GraphBuilder()
graph.placeholder("x", shape=(1,), dtype="float32")
with eventwriter.SummaryWriter({str(tmp_path)!r}) as writer:
    writer.add_scalar("a", 1.0, 0)
    writer.add_histogram("h", numpy.arange(10), 0)
    writer.add_graph(graph)
    writer.add_embedding(numpy.eye(3), ["a", "b", "c"], numpy.zeros((3, 3, 4, 4)))
"""
    assert set() == loaded_by(code)


def test_callbacks_load_no_framework(tmp_path: Path) -> None:
    """Nor do callbacks, which record and steer the training of a model of none."""
    code = f"""
import numpy, eventwriter.callbacks as callbacks
log = callbacks.TensorBoard({str(tmp_path)!r}, histogram_freq=1)
with callbacks.Loop({{"a": numpy.ones(3)}}, [log, callbacks.EarlyStopping("loss")], 2) as loop:
    for epoch in loop:
        loop.log(loss=1.0)
"""
    assert set() == loaded_by(code)


@pytest.mark.parametrize("framework", ["torch", "tensorboard"])
def test_a_framework_would_be_noticed(framework: str) -> None:
    """The tests above can fail: whatever loads a framework is seen."""
    assert {framework} == loaded_by(f"import eventwriter, {framework}.utils")


def test_checksums_are_loaded_when_needed() -> None:
    """crc32c's import takes as long as protobuf's: it waits for the first record."""
    code = "import sys, eventwriter; print('crc32c' in sys.modules)"
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECS, check=True)

    assert "False\n" == child.stdout


def test_callbacks_load_nothing_of_the_network() -> None:
    """The modules http and ssl wait for the first epoch of RemoteMonitor, which alone posts."""
    code = "import sys, eventwriter.callbacks; print({'http.client', 'ssl'} & sys.modules.keys())"
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECS, check=True)

    assert "set()\n" == child.stdout


def test_face_is_a_sorted_list_of_what_is_there() -> None:
    """`__all__` is sorted, and holds exactly the public names that are no modules."""
    public = {
        name
        for name in dir(eventwriter)
        if not name.startswith("_") and not isinstance(getattr(eventwriter, name), type(sys))
    }

    assert sorted(eventwriter.__all__) == eventwriter.__all__
    assert public == set(eventwriter.__all__)


# Lower rooms know nothing of higher ones. A module may import from rooms below its own, and
# from its own; a line is a room. A package stands for all that is in it.
ROOMS = [
    ["_imports", "_proto", "errors", "typing"],
    ["_warn", "_frameworks"],
    ["_values"],
    ["_images", "_file"],
    ["reader", "projector", "graphs"],
    ["records"],
    ["_writer"],
    ["__init__"],
    ["training"],
    ["callbacks"],
    ["integrations"],
    ["demo"],
    ["commands"],
    ["cli"],
]
HEIGHT = {name: height for height, room in enumerate(ROOMS) for name in room}


def room_of(module: str) -> str:
    """Return the room of `eventwriter.x.y`: x, or `__init__` for the package itself."""
    return [*module.split("."), "__init__"][1]


def imported_by(path: Path) -> set[str]:
    """Return the modules of ours that a file names, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "eventwriter"}


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_one_way(path: Path) -> None:
    """Every import goes to a lower room, or stays within its own."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported_by(path):
        target = room_of(module) if room_of(module) in HEIGHT else "__init__"

        assert HEIGHT[target] <= HEIGHT[room], f"{room} imports {module}"


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, directly or through others."""

    def reached(module: str) -> set[str]:
        found: set[str] = set()
        waiting = [module]
        while waiting:
            new = imports[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in imports}
    groups = {
        frozenset(other for other in reach[module] if module in reach[other])
        for module in imports
        if module in reach[module]
    }
    return sorted(map(set, groups), key=sorted)


def imports_of_files() -> dict[str, set[str]]:
    """Return the modules that each file imports, within functions and for types only too."""
    paths = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    found = {}
    for module, path in modules.items():
        # `from a.b import c` names the module a.b.c, or else c is a name in a.b.
        named = {n if n in modules else n.rpartition(".")[0] for n in imported_by(path)}
        assert named <= modules.keys(), path
        found[module] = named
    return found


def test_no_circle_of_files() -> None:
    """No file needs, through its imports, a file that needs it."""
    assert [] == circles(imports_of_files())


def test_a_circle_would_be_noticed() -> None:
    """The test above can fail, for two files, for more, and for one that imports itself."""
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}

    assert [{"b", "c"}, {"e"}] == circles(imports)


def exposed_imports(tree: ast.AST, *, within: bool = False, locked: bool = False) -> list[int]:
    """Return the lines of imports that run when a function is called, and outside the lock.

    Args:
        tree: A file, or a part of one.
        within: Whether the part is inside a function.
        locked: Whether the part is inside `with importing():`.
    """
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            # A block around a definition does not cover the calls of the function.
            found += exposed_imports(node, within=True)
            continue
        imports = isinstance(node, (ast.Import, ast.ImportFrom)) or (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}
        )
        if imports and within and not locked:
            found.append(node.lineno)
        covered = isinstance(node, ast.With) and any(
            ast.unparse(item).rpartition(".")[2] == "importing()" for item in node.items
        )
        found += exposed_imports(node, within=within, locked=locked or covered)
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_within_functions_are_under_the_lock(path: Path) -> None:
    """Every import that runs within a function is under `importing()`: no fork cuts it in two."""
    assert [] == exposed_imports(ast.parse(path.read_text("utf-8"))), path


def test_an_import_outside_the_lock_would_be_noticed() -> None:
    """The test above can fail, for each form of import, and where a block covers only a `def`."""
    tree = ast.parse("""\
import free
def function():
    import exposed
    with importing():
        import locked
        def inner():
            from exposed import name
    later = lambda: importlib.import_module("exposed")
""")

    assert [3, 7, 8] == exposed_imports(tree)
