"""
How old a picture is when a browser has painted it: python -m benchmarks.painted [--on loopback] [--seconds 10]

Each picture holds the time at which it was given to the server, as a row of black and white blocks. A script in the
browser looks at what is on the screen, as often as the screen is drawn, and compares that time with its own clock: both
are the clock of this machine. Prints the pictures per second and their age in milliseconds: median, 95 % and largest.

The page is the server's page, an <img> its stream; --browser program reads the stream without a browser. Links other
than loopback are emulated (tests.emulated_link; needs root). Behind a proxy, the browser asks the proxy, which has the
settings of docs/deployment.md, or nginx its default ones, and the link is between the two. Needs the packages selenium
(Debian's chromium and chromium-driver) and marionette_driver (Debian's firefox-esr); what is missing is left out.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np

import twistedcam
from benchmarks import frames
from tests.emulated_link import SERVER_HOST, Conditions, Ends, link
from twistedcam.codec import Image

_PORT, _PROXY_PORT = 18080, 18081
_BITS, _BLOCK = 16, 40  # the time in milliseconds, modulo 2 ** _BITS; a block is _BLOCK pixels wide and high
_WIDTH, _HEIGHT = _BITS * _BLOCK, 360
_FPS = 15.0
LINKS = {
    "loopback": None,
    "1 Mbit/s, 40 ms": Conditions(rate=1e6, delay=0.04),
    "1.4 Mbit/s, 20 ms": Conditions(rate=1.4e6, delay=0.02),  # some 4 of 15 pictures a second
    "3 Mbit/s, 20 ms, 1 % lost": Conditions(rate=3e6, delay=0.02, loss=0.01),
}
_WATCH = """
const row = new OffscreenCanvas(16, 1).getContext("2d", { willReadFrequently: true });
const seen = window.seen = []; let last = -1;
const look = () => {
  const shown = document.querySelector("canvas, img"), width = shown.naturalWidth || shown.width;
  try {
    row.drawImage(shown, 0, 0, width, width / 16, 0, 0, 16, 1);
    let milliseconds = 0;
    for (let bit = 0; bit < 16; bit++) milliseconds |= (row.getImageData(bit, 0, 1, 1).data[0] > 127) << bit;
    if (milliseconds !== last) seen.push((Date.now() - milliseconds) & 65535);
    last = milliseconds;
  } catch (error) { /* there is no picture yet */ }
  requestAnimationFrame(look);
};
look();
"""
_HAS_CANVAS = "return document.querySelector('canvas') !== null"


def images(fps: float) -> Iterator[Image]:
    """Pictures of the clip, C{fps} a second, that hold the time at which they are given."""
    for image in frames.images() * 1000:
        time.sleep(1 / fps - time.time() % (1 / fps))
        marked = cv2.resize(image, (_WIDTH, _HEIGHT)).astype(np.uint8)
        milliseconds = round(time.time() * 1000)
        bits = np.array([milliseconds >> bit & 1 for bit in range(_BITS)], np.uint8) * 255
        marked[:_BLOCK] = np.kron(bits, np.ones((_BLOCK, _BLOCK), np.uint8))[:, :, np.newaxis]
        yield marked


class Chromium:
    """Chromium, without a screen."""

    def __init__(self) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        flags = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"):
            flags.add_argument(flag)
        # Windows in the background are to be drawn as well.
        flags.add_argument("--disable-backgrounding-occluded-windows")
        self._driver = webdriver.Chrome(options=flags, service=Service("/usr/bin/chromedriver"))
        self._windows: list[str] = []

    def open(self, url: str) -> None:
        """Show C{url} in a new window."""
        if self._windows:
            self._driver.switch_to.new_window("window")
        self._windows.append(self._driver.current_window_handle)
        self._driver.get(url)

    def run(self, script: str) -> list[Any]:
        """Run C{script} in each window, and return the results."""
        results = []
        for window in self._windows:
            self._driver.switch_to.window(window)
            results.append(self._driver.execute_script(script))
        return results

    def quit(self) -> None:
        """End the browser."""
        self._driver.quit()


class Firefox:
    """Firefox, without a screen."""

    def __init__(self) -> None:
        from marionette_driver.marionette import Marionette

        self._driver: Any = Marionette(bin=shutil.which("firefox-esr"), headless=True, gecko_log="-")
        self._driver.start_session({"pageLoadStrategy": "none"})  # a stream never ends loading
        self._windows: list[str] = []

    def open(self, url: str) -> None:
        """Show C{url} in a new window."""
        if self._windows:
            opened = self._driver.open(type="window")
            self._driver.switch_to_window(opened["handle"])
        self._windows.append(self._driver.current_window_handle)
        self._driver.navigate(url)

    def screenshot(self) -> Image:
        """The last window's content."""
        png = np.frombuffer(base64.b64decode(self._driver.screenshot(full=False)), np.uint8)
        image = cv2.imdecode(png, cv2.IMREAD_COLOR)
        assert image is not None
        return image.astype(np.uint8)

    def run(self, script: str) -> list[Any]:
        """Run C{script} in each window, and return the results."""
        results = []
        for window in self._windows:
            self._driver.switch_to_window(window)
            results.append(self._driver.execute_script(script, sandbox=None))
        return results

    def quit(self) -> None:
        """End the browser."""
        self._driver.quit()


# How to start it, and the package and the program that it needs.
BROWSERS: dict[str, tuple[Callable[[], Chromium | Firefox], str, str]] = {
    "chromium": (Chromium, "selenium", "chromedriver"),
    "firefox": (Firefox, "marionette_driver", "firefox-esr"),
}


def look(browser: str, url: str, windows: int, seconds: float, settle: float) -> list[list[int]]:
    """The age in milliseconds of each picture that was painted in each window, within C{seconds} after C{settle}."""
    make, _, _ = BROWSERS[browser]
    driver = make()
    try:
        for _ in range(windows):
            driver.open(url)
        time.sleep(settle)
        if isinstance(driver, Firefox) and not driver.run(_HAS_CANVAS)[0]:
            return [list(ages_in_screenshots(driver, seconds))]
        driver.run(_WATCH)
        time.sleep(seconds)
        return list(driver.run("return window.seen.slice(1)"))
    finally:
        driver.quit()


def read(url: str, seconds: float, settle: float) -> list[list[int]]:
    """The age in milliseconds of each part of the stream at C{url}, as a program gets it, as L{look} does."""
    ages = []
    until = time.monotonic() + settle + seconds
    with urlopen(url) as answer:
        while time.monotonic() < until:
            length = captured = 0.0
            for line in iter(answer.readline, b"\r\n"):
                name, _, value = line.decode("latin-1").partition(": ")
                length = float(value) if name == "Content-Length" else length
                captured = float(value) if name == "X-Timestamp" else captured
            answer.read(int(length))
            if length and time.monotonic() > until - seconds:
                ages.append(round((time.time() - captured) * 1000))
    return [ages]


def ages_in_screenshots(driver: Firefox, seconds: float) -> Iterator[int]:
    """
    The ages of the pictures in the last window, each when a screenshot of it is complete.

    Firefox lets scripts read the first picture of a stream only.
    """
    last, until = -1, time.monotonic() + seconds
    while time.monotonic() < until:
        blocks = cv2.resize(_blocks(driver.screenshot()), (_BITS, 1), interpolation=cv2.INTER_AREA)
        milliseconds = sum(int(block > 127) << bit for bit, block in enumerate(blocks[0, :, 0]))
        if milliseconds != last:
            yield (round(time.time() * 1000) - milliseconds) & (2**_BITS - 1)
        last = milliseconds


def _blocks(window: Image) -> Image:
    """The row of blocks of the picture in the middle of C{window}, as large as fits."""
    height, width = window.shape[:2]
    scale = min(width / _WIDTH, height / _HEIGHT)
    left, top = (width - _WIDTH * scale) / 2, (height - _HEIGHT * scale) / 2
    return window[round(top) : round(top + _BLOCK * scale), round(left) : round(left + _WIDTH * scale)]


# The language of the block in docs/deployment.md, and the command with the name of its file.
PROXIES = {
    "nginx": ["nginx", "-c"],
    "haproxy": ["haproxy", "-f"],
    "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config"],
}


def configuration(proxy: str, folder: str) -> str:
    """What C{proxy}, in front of the server, is told; it writes its files into C{folder}."""
    documented = Path("docs/deployment.md").read_text()
    found = re.search(rf"```{proxy}\n(.*?)```", documented, re.DOTALL)
    text = found[1] if found else "server { listen 80; location / { proxy_pass http://127.0.0.1:8080; } }"
    text = re.sub(r"(listen |bind :|^:)80\b", rf"\g<1>{_PROXY_PORT}", text, flags=re.MULTILINE)
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{_PORT}")
    if proxy == "haproxy":
        return text
    if proxy == "caddy":
        return f"{{\n admin off\n auto_https off\n}}\n{text}"
    return f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off; {text} }}"


@contextlib.contextmanager
def running(at: list[str], fps: float, proxy: str) -> Iterator[int]:
    """The server, and a proxy in front of it if C{proxy} names its settings; the port to ask."""
    with contextlib.ExitStack() as stack:
        serve = [*at, sys.executable, "-m", "benchmarks.painted", "--serve", str(fps)]
        commands = [serve]
        if proxy:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            file = Path(folder, "configuration")
            file.write_text(configuration(proxy, folder))
            commands.append([*at, *PROXIES[proxy.removesuffix("-default")], str(file)])
        for command in commands:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        time.sleep(4)
        yield _PROXY_PORT if proxy else _PORT


def measure(browser: str, where: str, path: str, proxy: str, options: argparse.Namespace) -> str:
    """A row of the table."""
    conditions = LINKS[where]
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(link(conditions)) if conditions else Ends([], [])
        port = stack.enter_context(running(ends.server, options.fps, proxy))
        host = SERVER_HOST if conditions else "127.0.0.1"
        words = ["--look", f"http://{host}:{port}{path}", "--browser", browser, "--windows", str(options.windows)]
        times = ["--seconds", str(options.seconds), "--settle", str(options.settle)]
        command = [*ends.viewer, sys.executable, "-m", "benchmarks.painted", *words, *times]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    windows = json.loads(answer.splitlines()[-1])
    return "; ".join(describe(ages, options.seconds) for ages in windows)


def describe(ages: list[int], seconds: float) -> str:
    """Pictures per second, and their age."""
    if not ages:
        return "nothing"
    p95 = sorted(ages)[int(0.95 * (len(ages) - 1))]
    return f"{len(ages) / seconds:4.1f} fps {statistics.median(ages):5.0f} / {p95:5.0f} / {max(ages):5.0f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default="chromium,firefox")
    parser.add_argument("--on", default="", help="links whose name has this in it")
    parser.add_argument("--path", default="/,/stream", help="the page, and an <img> as large as the window")
    parser.add_argument("--proxy", default="", help="in between: nginx-default, nginx, haproxy or caddy")
    parser.add_argument("--fps", type=float, default=_FPS)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before the pictures count")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--look", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        listen = "tcp:0:interface=127.0.0.1"
        twistedcam.serve(lambda: images(options.serve), http=f"tcp:{_PORT}", listen=listen, width=640, open=True)
    elif options.look:
        if options.browser == "program":
            ages = read(options.look, options.seconds, options.settle)
        else:
            ages = look(options.browser, options.look, options.windows, options.seconds, options.settle)
        print(json.dumps(ages))
    else:
        for browser in options.browser.split(","):
            _, package, program = BROWSERS.get(browser, (None, "twistedcam", "python3"))
            if not importlib.util.find_spec(package) or not shutil.which(program):
                print(f"{browser}: left out, it needs {program} and the package {package}")
                continue
            for where in (name for name in LINKS if options.on in name):
                for path in options.path.split(","):
                    row = measure(browser, where, path, options.proxy, options)
                    print(f"{browser}, {where}, {path}: {row}", flush=True)


if __name__ == "__main__":
    main()
