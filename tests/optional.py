"""Packages that only some tests need."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


def needs(module: str, package: str = "") -> Callable[[T], T]:
    """
    Skip a test, or a class of tests, if C{module} is not installed; C{package} is its name for pip if it has another.

    What is marked has to import C{module} only when it runs.
    """

    def mark(tests: T) -> T:
        if find_spec(module) is None:
            tests.skip = f"needs the package {package or module}"  # type: ignore[attr-defined]
        return tests

    return mark
