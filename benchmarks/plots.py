"""
The plots in docs/performance.md: python -m benchmarks.plots FOLDER

FOLDER holds links.jsonl and fanout.jsonl, as saved by python -m benchmarks --save FOLDER; links.png and fanout.png are
written beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

_NAMES = {
    "ours": "twistedcam",
    "tutorial": "the tutorial's server",
    "sendall": "a thread with sendall for each viewer",
    "imagezmq": "imagezmq",
    "netgear": "vidgear NetGear",
    "gstreamer": "GStreamer tcpserversink",
    "floor": "C, send() alone",
}
_COLORS = dict(zip(_NAMES, ("#d62728", "#7f7f7f", "#8c564b", "#1f77b4", "#9467bd", "#2ca02c", "#000000"), strict=True))
_LINK = "1 Mbit/s"


def rows(path: Path) -> list[dict[str, Any]]:
    """The saved results, one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def plot_links(folder: Path) -> None:
    """Age over time on the slowest link."""
    _, axes = pyplot.subplots(figsize=(8, 4))
    for row in rows(folder / "links.jsonl"):
        if row["link"].startswith(_LINK) and row["congestion"] == "cubic" and row["name"] in _NAMES and row["seen"]:
            times, ages = zip(*row["seen"], strict=True)
            axes.plot(times, ages, label=_NAMES[row["name"]], color=_COLORS[row["name"]], linewidth=1.8)
            title = row["link"]
    axes.set(yscale="log", xlabel="seconds", ylabel="age of the picture, seconds", title=f"One viewer over {title}")
    axes.set_ylim(0.1, 100)
    axes.set_yticks([0.1, 0.3, 1, 3, 10, 30, 100], ["0.1", "0.3", "1", "3", "10", "30", "100"])
    _finish(axes, folder / "links.png")


def plot_fanout(folder: Path) -> None:
    """CPU time per viewer and frame by number of viewers."""
    _, axes = pyplot.subplots(figsize=(8, 4))
    found = rows(folder / "fanout.jsonl")
    for name, label in _NAMES.items():
        points = sorted((row["viewers"], row["us"]) for row in found if row["name"] == name)
        if points:
            axes.plot(*zip(*points, strict=True), "o-", label=label, color=_COLORS[name])
    axes.set(xscale="log", xlabel="viewers", ylabel="µs of CPU for one viewer and frame", ylim=(0, None))
    viewers = sorted({row["viewers"] for row in found})
    axes.set_xticks(viewers, [f"{count:,}" for count in viewers])
    axes.minorticks_off()
    _finish(axes, folder / "fanout.png")


def _finish(axes: Any, path: Path) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    axes.figure.tight_layout()
    axes.figure.savefig(path, dpi=110)
    pyplot.close(axes.figure)


def main() -> None:
    """Draw both plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    plot_links(folder)
    plot_fanout(folder)


if __name__ == "__main__":
    main()
