"""Embeddings on disk: writing them without a writer, and what is listed for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format

from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.projector.files import Projector

if TYPE_CHECKING:
    from pathlib import Path


FLOATS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def add(
    projector: Projector,
    mat: Any = FLOATS,
    step: int | None = None,
    tag: str = "embed",
    **more: Any,
) -> None:
    arguments = {"metadata": None, "label_img": None, "header": None, **more}
    projector.add(mat, step=step, tag=tag, **arguments)


def write(run_dir: Path, mat: Any = FLOATS, step: int | None = None, **more: Any) -> None:
    projector = Projector(run_dir)
    add(projector, mat, step, **more)
    projector.drain()


def config(run_dir: Path) -> ProjectorConfig:
    return text_format.Parse((run_dir / "projector_config.pbtxt").read_text(), ProjectorConfig())


def names(run_dir: Path) -> list[str]:
    return [info.tensor_name for info in config(run_dir).embeddings]


def runs(logdir: Path) -> list[str]:
    """Return what both of TensorBoard's readers take for runs."""
    parents = {path.parent for path in logdir.rglob("*tfevents*")}
    return sorted(str(parent.relative_to(logdir)) for parent in parents)


WRITE_FOREVER = """if True:
    import sys, numpy as np
    from pathlib import Path
    from eventwriter.projector.files import Projector
    projector = Projector(Path(sys.argv[1]))
    for step in range(int(sys.argv[3])):
        mat = np.full((500, 40), step + 0.1, np.float32)
        projector.add(mat, [f"{step}"] * 500, None, step, sys.argv[2], None)
        projector.drain()
        if step == 2:
            print("under way", flush=True)
"""
