"""Packages that a command needs beyond those of the package itself."""

from __future__ import annotations

import importlib.util

from eventwriter._imports import missing_extra


def require(package: str, extra: str) -> None:
    """Check that a package is installed, without importing it.

    Args:
        package: The name by which Python imports it.
        extra: The extra of eventwriter that installs it.

    Raises:
        MissingDependencyError: It is not installed. The message says what to type.
    """
    if importlib.util.find_spec(package) is None:
        raise missing_extra(f"extra {extra!r}", package, extra)
