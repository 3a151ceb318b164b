"""
The project's checks, each in a virtual environment of its own.

C{nox} runs all of them, C{nox -s lint types} two, C{nox -s tests-3.12} the tests on one Python.
"""

from __future__ import annotations

import configparser
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
OLDEST_PYTHON = PYTHONS[0]
TRIAL = ["-j2"]

# Twisted's own constraints have no upper bounds: Twisted 24.7 fails with the pyOpenSSL of today.
OLDEST_TLS = ["pyopenssl==24.2.1", "cryptography==43.0.0", "service-identity==24.1.0"]

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False  # a Python that is not installed is skipped, and named
nox.options.sessions = ["lint", "types", "docs", "tests", "oldest", "coverage"]


def install(session: nox.Session, *more: str) -> None:
    """Install the project as the README does, from its folder."""
    session.install("-e", ".[dev]", "--config-settings", "editable_mode=compat", *more)


def trial(session: nox.Session) -> list[str]:
    """The arguments for trial: C{posargs}, or all tests in two processes."""
    return ["--temp-directory", str(Path(session.create_tmp(), "trial")), *(session.posargs or [*TRIAL, "tests"])]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    session.install("ruff")
    session.run("ruff", "check", "--output-format", "concise", ".")
    session.run("ruff", "format", "--check", "--quiet", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types."""
    install(session)
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The API documentation, in C{build/api}; each warning is an error."""
    session.install("pydoctor")
    session.run("pydoctor")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, on each Python."""
    install(session)
    session.run("trial", *trial(session))


@nox.session(python=OLDEST_PYTHON)
def oldest(session: nox.Session) -> None:
    """The tests with the oldest versions that setup.cfg allows."""
    config = configparser.ConfigParser()
    config.read("setup.cfg")
    required = config["options"]["install_requires"].split("\n")
    recorder = config["options.extras_require"]["record"].split("\n")
    pinned = [line.replace(" ", "").replace(">=", "==") for line in (*required, *recorder) if line]
    install(session, *pinned, *OLDEST_TLS)
    session.run("trial", *trial(session))


@nox.session(python=OLDEST_PYTHON)
def coverage(session: nox.Session) -> None:
    """Lines and branches that the tests run, also in the processes that they start; the floor is in pyproject.toml."""
    install(session, "coverage >= 7.10")
    environment = {"COVERAGE_FILE": str(Path(session.create_tmp(), "coverage").resolve())}
    session.run("coverage", "erase", env=environment)
    session.run("coverage", "run", "-m", "twisted.trial", *trial(session), env=environment)
    session.run("coverage", "combine", "--quiet", env=environment)
    session.run("coverage", "report", env=environment)
