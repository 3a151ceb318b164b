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

# Every package that is installed, with its version and hashes. C{nox -s lock} writes them anew.
SERVER = "deploy/requirements.txt"  # what a server needs
BUILD = "deploy/build-requirements.txt"  # what builds packages that come as source, ours among them
CHECKS = ".ci/requirements.txt"
OLDEST = ".ci/oldest-requirements.txt"

# Twisted's own constraints have no upper bounds: Twisted 24.7 fails with the pyOpenSSL of today.
OLDEST_TLS = ["pyopenssl==24.2.1", "cryptography==43.0.0", "service-identity==24.1.0"]

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "uv|venv"
nox.options.error_on_missing_interpreters = False  # a Python that is not installed is skipped, and named
nox.options.sessions = ["lint", "types", "docs", "tests", "oldest", "coverage"]


def install(session: nox.Session, packages: str = CHECKS) -> None:
    """Install the project as the README does, from its folder, with the locked C{packages}."""
    session.install("--require-hashes", "-r", BUILD)
    session.install("--require-hashes", "--no-build-isolation", "-r", packages)
    # Nothing is left to download, so this fails if setup.cfg asks for what is not locked.
    project = ["-e", ".[dev]", "--config-settings", "editable_mode=compat"]
    session.install("--no-index", "--no-build-isolation", *project)


def trial(session: nox.Session) -> list[str]:
    """The arguments for trial: C{posargs}, or all tests in two processes."""
    return ["--temp-directory", str(Path(session.create_tmp(), "trial")), *(session.posargs or [*TRIAL, "tests"])]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    install(session)
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
    install(session)
    session.run("pydoctor")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, on each Python."""
    install(session)
    session.run("trial", *trial(session))


@nox.session(python=OLDEST_PYTHON)
def oldest(session: nox.Session) -> None:
    """The tests with the oldest versions that setup.cfg allows."""
    install(session, OLDEST)
    session.run("trial", *trial(session))


@nox.session(python=OLDEST_PYTHON)
def coverage(session: nox.Session) -> None:
    """Lines and branches that the tests run, also in the processes that they start; the floor is in pyproject.toml."""
    install(session)
    environment = {"COVERAGE_FILE": str(Path(session.create_tmp(), "coverage").resolve())}
    session.run("coverage", "erase", env=environment)
    session.run("coverage", "run", "-m", "twisted.trial", *trial(session), env=environment)
    session.run("coverage", "combine", "--quiet", env=environment)
    session.run("coverage", "report", env=environment)


@nox.session
def lock(session: nox.Session) -> None:
    """Choose the newest versions that setup.cfg allows, and write the files of packages and hashes."""
    session.install("uv")
    server, checks = required(), [*required(), *required("dev"), "coverage >= 7.10", "pydoctor", "uv"]
    oldest = [line.replace(" ", "").replace(">=", "==") for line in server]
    # Both packages have the module cv2, so no extra can choose between them. This one needs no libraries for windows.
    headless = [line.replace("opencv-python ", "opencv-python-headless ") for line in server]
    compile_lock(session, BUILD, ["setuptools >= 77"])
    compile_lock(session, SERVER, headless)
    compile_lock(session, CHECKS, checks)
    compile_lock(session, OLDEST, [*checks, *oldest, *OLDEST_TLS])


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities in the locked packages; asks the Python Package Index."""
    session.install("pip-audit")
    for packages in (SERVER, BUILD, CHECKS):
        session.run("pip-audit", "--require-hashes", "--disable-pip", "--requirement", packages)


def required(extra: str = "") -> list[str]:
    """What setup.cfg asks for: C{install_requires}, or an extra."""
    config = configparser.ConfigParser()
    config.read("setup.cfg")
    lines = config["options.extras_require"][extra] if extra else config["options"]["install_requires"]
    return [line for line in lines.split("\n") if line]


def compile_lock(session: nox.Session, path: str, requirements: list[str]) -> None:
    """Write C{requirements} and what they need to C{path}, for each Python and platform."""
    source = Path(session.create_tmp(), "requirements.in")
    source.write_text("\n".join(requirements))
    options = ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--upgrade", "--no-annotate"]
    command = ["--custom-compile-command", "nox -s lock", "--output-file", path, str(source)]
    session.run("uv", "pip", "compile", "--quiet", *options, *command)
