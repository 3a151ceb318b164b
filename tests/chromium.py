"""A real Chromium for tests, driven over the WebDriver protocol by Debian's chromium-driver."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from io import BytesIO
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, FileBodyProducer, readBody

from tests.processes import Running, turn

_DRIVER = "chromedriver"
T = TypeVar("T", bound=type[TestCase])
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


def needs_chromium(tests: T) -> T:
    """Skip a class of tests where there is no Chromium to drive."""
    if shutil.which(_DRIVER) is None:
        tests.skip = "needs the programs chromium and chromedriver"
    return tests


class Chromium:
    """A headless browser, started by L{start}, which ends with the test C{case}."""

    def __init__(self, case: TestCase) -> None:
        self._case = case
        self._agent = Agent(reactor)
        self._driver = Running()
        self._session = ""

    async def start(self) -> Chromium:
        """Start the browser; it shows an empty page."""
        folder = tempfile.mkdtemp()  # short: there is a socket in it
        self._case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        environment = {**os.environ, "TMPDIR": folder}
        reactor.spawnProcess(self._driver, "/usr/bin/env", ["env", _DRIVER, "--port=0"], environment)
        self._case.addCleanup(self._finish)
        self._session = f"http://127.0.0.1:{(await self._driver.said('successfully on port ([0-9]+)'))[1]}/session"
        options = {"goog:chromeOptions": {"args": _FLAGS.split()}, "goog:loggingPrefs": {"browser": "ALL"}}
        session = await self._ask("POST", "", {"capabilities": {"alwaysMatch": options}})
        self._session += f"/{session['sessionId']}"
        self._case.addCleanup(lambda: Deferred.fromCoroutine(self._ask("DELETE", "")))
        return self

    async def open(self, url: str) -> None:
        """Open C{url} in the current window."""
        await self._ask("POST", "/url", {"url": url})

    async def open_window(self, url: str) -> str:
        """Open C{url} in a further window, which becomes the current one; returns its name."""
        name = (await self._ask("POST", "/window/new", {"type": "window"}))["handle"]
        await self.switch_to(name)
        await self.open(url)
        return str(name)

    async def switch_to(self, name: str) -> None:
        """Make another window the current one."""
        await self._ask("POST", "/window", {"handle": name})

    async def run(self, script: str) -> Any:
        """The value of the JavaScript expression C{script} in the current window."""
        return await self._ask("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    async def until(self, script: str, expected: Any = True) -> None:
        """Wait until the expression C{script} has the value C{expected}."""
        while (await self.run(script)) != expected:
            await turn()

    async def command(self, name: str, **parameters: Any) -> Any:
        """A command of the Chrome DevTools Protocol."""
        return await self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        producer = None if body is None else FileBodyProducer(BytesIO(json.dumps(body).encode()))
        response: Any = await self._agent.request(method.encode(), (self._session + path).encode(), None, producer)
        value = json.loads(await readBody(response))["value"]
        if response.code != 200:
            raise AssertionError(f"{value['error']}: {value['message']}")
        return value

    async def _end(self) -> None:
        self._driver.signal("TERM")
        await self._driver.ended

    def _finish(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._end())
