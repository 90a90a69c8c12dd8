"""Compile proto/*.proto into eventwriter/_proto/.

    python proto/generate.py            regenerate, and write the manifest
    python proto/generate.py --check    change nothing; fail when that would change anything

protoc comes with grpcio-tools 1.62.3, which is the oldest protoc (25) whose code the
newest protobuf still accepts: what it generates runs unchanged on protobuf 4.25 to 7.x.
It is put into a temporary directory, because as an installed package it would hold
protobuf below 5. It has wheels for Python 3.10, 3.11 and 3.12.

The manifest lists the SHA-256 of every source and of every generated file, so that the
test suite notices a stale or hand-edited file without a compiler or a network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMPILER = "grpcio-tools==1.62.3"
PROTO = Path(__file__).resolve().parent
ROOT = PROTO.parent
GENERATED = ROOT / "eventwriter" / "_proto"
MANIFEST = "MANIFEST.sha256"


def manifest(generated: Path) -> str:
    """Return `sha256  path` for every source and for every file generated from it.

    Line ends count as newlines, so that a checkout on Windows agrees.
    """
    files = [(path, f"proto/{path.name}") for path in PROTO.glob("*.proto")]
    files += [(path, f"eventwriter/_proto/{path.name}") for path in generated.glob("*_pb2.py*")]

    def sha256(path: Path) -> str:
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()

    return "".join(f"{sha256(path)}  {name}\n" for path, name in sorted(files, key=lambda f: f[1]))


def compile_into(target: Path) -> None:
    """Run protoc over every source, and leave `*_pb2.py` and `*_pb2.pyi` in `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        only_wheels = ["--no-deps", "--only-binary", ":all:", "--target", f"{scratch}/tools"]
        subprocess.run([*pip, *only_wheels, COMPILER], check=True)
        # Sources are seen as eventwriter/_proto/NAME.proto: protoc derives the imports of
        # the generated modules from that, and the name under which protobuf registers them.
        mapped = f"-Ieventwriter/_proto={PROTO}"
        out = [f"--python_out={scratch}", f"--pyi_out={scratch}"]
        sources = sorted(str(path) for path in PROTO.glob("*.proto"))
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", mapped, *out, *sources],
            check=True,
            env={**os.environ, "PYTHONPATH": f"{scratch}/tools"},
        )
        for path in (Path(scratch) / "eventwriter" / "_proto").iterdir():
            (target / path.name).write_bytes(path.read_bytes())


def main() -> int:
    """Regenerate, or with --check compare with what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when anything is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        compile_into(fresh)
        (fresh / MANIFEST).write_text(manifest(fresh), encoding="ascii", newline="\n")
        names = {path.name for path in fresh.iterdir()}
        if not check:
            for path in GENERATED.glob("*_pb2.py*"):
                path.unlink()
            for name in sorted(names):
                (GENERATED / name).write_bytes((fresh / name).read_bytes())
            print(f"wrote {len(names)} files to {GENERATED}")
            return 0
        there = {path.name for path in GENERATED.glob("*_pb2.py*")} | {MANIFEST}
        stale = sorted(
            name
            for name in names | there
            if not (GENERATED / name).exists()
            or not (fresh / name).exists()
            or (GENERATED / name).read_bytes() != (fresh / name).read_bytes()
        )
        if stale:
            print(f"stale: {', '.join(stale)}. Run: python proto/generate.py", file=sys.stderr)
        return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
