"""
What a browser shows: python -m benchmarks.browser [--seconds 5] [--screenshots FOLDER]

Needs Debian's chromium and chromium-driver, and the package selenium. Opens the server's page in headless Chromium and
prints whether the picture changes, and its age as the page shows it; the same with Chromium's throttling to 1 Mbit/s
and 40 ms; whether nothing is transferred while the page is hidden; and how soon it continues by itself after the server
was killed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from benchmarks.processes import twistd

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
_WIDTHS = ((1280, 800), (768, 1000), (390, 844))
_PORT = 18080


def serve(camera: str) -> subprocess.Popen[bytes]:
    """A server with its web server on our port."""
    words = ("--camera", camera, "--width", "640", "--listen", f"unix:{tempfile.mkdtemp()}/camera")
    http = f"tcp:{_PORT}:interface=127.0.0.1"
    return subprocess.Popen(
        twistd("camstream", *words, "--http", http), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(condition: Any, patience: float = 30.0) -> float:
    """Seconds until C{condition} held."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            raise RuntimeError("it did not come to that")
        time.sleep(0.05)
    return time.monotonic() - began


class Page:
    """The page as a user sees it."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser

    def text(self, selector: str) -> str:
        """The text of the element."""
        return str(self._browser.find_element("css selector", selector).text)

    def is_live(self) -> bool:
        """Whether the page says that the camera is live."""
        found = self._browser.find_elements("css selector", ".state")
        return bool(found) and found[0].text == "live" and self.text(".age")[:1].isdigit()

    def pixels(self) -> str:
        """A digest of the picture."""
        return str(self._browser.execute_script("return document.querySelector('canvas').toDataURL().slice(-4000)"))

    def watch(self, seconds: float) -> str:
        """What is seen within C{seconds}."""
        ages, pictures = [], set()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ages.append(float(self.text(".age").split()[0]))
            pictures.add(self.pixels())
            time.sleep(0.1)
        largest = max(ages)
        shown = f"{len(pictures)} different pictures in {len(ages)} looks, {self.text('.fps')} fps"
        return f"{shown}, age median {statistics.median(ages):.0f} ms, largest {largest:.0f} ms"


def main() -> None:
    """Look and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--camera", default="test")
    parser.add_argument("--screenshots", type=Path)
    options = parser.parse_args()
    flags = webdriver.ChromeOptions()
    for flag in _FLAGS.split():
        flags.add_argument(flag)
    server = serve(options.camera)
    browser = webdriver.Chrome(options=flags, service=Service("/usr/bin/chromedriver"))
    page = Page(browser)
    try:
        time.sleep(2)
        browser.get(f"http://127.0.0.1:{_PORT}/")
        print(f"{browser.capabilities['browserName']} {browser.capabilities['browserVersion']}")
        print(f"first picture after {wait_for(page.is_live):.1f} s")
        print(f"on this machine: {page.watch(options.seconds)}")
        if options.screenshots:
            for width, height in _WIDTHS:
                browser.set_window_size(width, height)
                time.sleep(1)
                browser.save_screenshot(str(options.screenshots / f"page-{width}.png"))
        link = {"offline": False, "latency": 40, "downloadThroughput": 125_000, "uploadThroughput": 125_000}
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", link)
        browser.refresh()
        wait_for(page.is_live)
        time.sleep(3)
        print(f"throttled by Chromium to 1 Mbit/s, 40 ms: {page.watch(options.seconds)}")
        link |= {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", link)
        server.kill()
        server.wait()
        print(f"server killed: the page says so after {wait_for(lambda: page.text('.state') == 'reconnecting'):.1f} s")
        server = serve(options.camera)
        print(f"server started again: live by itself after {wait_for(page.is_live):.1f} s")
        for entry in browser.get_log("browser"):
            if "ERR_CONNECTION" not in entry["message"]:
                print(f"the browser's log: {entry['message']}")
    finally:
        browser.quit()
        server.kill()


if __name__ == "__main__":
    main()
