"""The files of locked packages fit what setup.cfg asks for."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.optional import needs

_ROOT = Path(__file__).parent.parent


def read_lock(path: str) -> dict[str, list[tuple[str, str, int]]]:
    """The locked packages: by name, the versions, each with its marker and the number of its hashes."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    text = (_ROOT / path).read_text().replace("\\\n", "")
    for name, version, rest in re.findall(r"(?m)^([\w.-]+)==(\S+)(.*)$", text):
        marker = rest.partition("--hash")[0].strip(" ;")
        found.setdefault(name, []).append((version, marker, rest.count("--hash=sha256:")))
    return found


def required(extra: str = "") -> list[str]:
    """What setup.cfg asks for."""
    config = configparser.ConfigParser()
    config.read(_ROOT / "setup.cfg")
    lines = config["options.extras_require"][extra] if extra else config["options"]["install_requires"]
    return [line for line in lines.split("\n") if line]


@needs("packaging", "packaging")
class LockTests(SynchronousTestCase):
    """C{nox -s lock} writes these files; it has to be run after a change of what setup.cfg asks for."""

    def assert_meets(self, path: str, requirements: list[str]) -> None:
        """Each of C{requirements} is locked, in a version that meets it on each Python."""
        from packaging.markers import Marker
        from packaging.requirements import Requirement

        locked = read_lock(path)
        for requirement in map(Requirement, requirements):
            for python in ("3.11", "3.12", "3.13"):
                environment = {"python_version": python, "python_full_version": f"{python}.0"}
                versions = [
                    version
                    for version, marker, _ in locked.get(requirement.name, [])
                    if not marker or Marker(marker).evaluate(environment)
                ]
                message = f"{path}: {requirement} on Python {python}: run nox -s lock"
                self.assertEqual(len(versions), 1, message)
                self.assertTrue(requirement.specifier.contains(versions[0]), message)

    def test_server(self) -> None:
        """The server's packages, with the OpenCV that needs no libraries for windows, and not the other one."""
        headless = [line.replace("opencv-python ", "opencv-python-headless ") for line in required()]
        self.assert_meets("deploy/requirements.txt", headless)
        self.assertNotIn("opencv-python", read_lock("deploy/requirements.txt"))

    def test_checks(self) -> None:
        """The packages of the checks, the newest and the oldest."""
        for path in (".ci/requirements.txt", ".ci/oldest-requirements.txt"):
            self.assert_meets(path, [*required(), *required("dev")])

    def test_oldest(self) -> None:
        """The oldest versions are those that setup.cfg names."""
        oldest = [line.replace(">=", "==") for line in required()]
        self.assert_meets(".ci/oldest-requirements.txt", oldest)

    def test_hashes(self) -> None:
        """Each package has its hashes."""
        for path in sorted(str(found.relative_to(_ROOT)) for found in _ROOT.glob("*/*requirements.txt")):
            for name, versions in read_lock(path).items():
                for _, _, hashes in versions:
                    self.assertGreater(hashes, 0, f"{path}: {name}")
