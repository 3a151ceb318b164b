"""
The tables in docs/performance.md: python -m benchmarks.tables FOLDER

FOLDER holds links.jsonl and fanout.jsonl, as saved by python -m benchmarks --save FOLDER; prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.links import LINKS, Seen, own_seconds
from benchmarks.plots import rows

_PEERS = {
    "ours": "ours",
    "netgear": "vidgear NetGear",
    "sendall": "a thread with `sendall`",
    "gstreamer": "GStreamer tcpserversink",
    "imagezmq": "imagezmq, PUB",
    "tutorial": "the tutorial's",
}
_WAYS = {
    ("ours", "cubic"): "cubic",
    ("ungated", "cubic"): "cubic, no pace",
    ("ours", "bbr"): "bbr",
    ("ungated", "bbr"): "bbr, no pace",
    ("tls", "cubic"): "over TLS",
    ("http", "cubic"): "over HTTP",
}


def _print(head: Iterable[str], body: Iterable[Iterable[str]]) -> None:
    names = list(head)
    for row in (names, ["---"] * len(names), *body):
        print("|", " | ".join(row), "|")
    print()


def _times(seen: Seen) -> str:
    median, p95 = seen.percentile(50), seen.percentile(95)
    digits = 3 if median < 0.1 else 2
    return _marked(seen.name, f"{median:.{digits}f}, {p95:.{digits}f}; {seen.fps:.1f}")


def _marked(name: str, text: str) -> str:
    return f"**{text}**" if name == "ours" else text


def print_links(found: list[dict[str, Any]]) -> None:
    """Each server over each link, and each variant of ours."""
    runs = {}
    for row in found:
        times, ages = zip(*row.pop("seen"), strict=True)
        runs[row["name"], row["congestion"], row["link"]] = Seen(**row, times=times, ages=ages)
    _print(
        ["link", "of the link", *_PEERS.values()],
        (
            [link, f"{own_seconds(LINKS[link]):.3f}", *(_times(runs[name, "cubic", link]) for name in _PEERS)]
            for link in LINKS
        ),
    )
    _print(
        ["link", *_WAYS.values()],
        ([link, *(_times(runs[name, congestion, link]) for name, congestion in _WAYS)] for link in LINKS),
    )


def print_fanout(found: list[dict[str, Any]]) -> None:
    """Microseconds per viewer and frame, and the ratio to the floor."""
    names = list(dict.fromkeys(row["name"] for row in found))
    costs = {(row["viewers"], row["name"]): row for row in found}
    body = []
    for viewers in dict.fromkeys(row["viewers"] for row in found):
        floor = costs[viewers, "floor"]["us"]
        cells = []
        for name in names:
            cost = costs[viewers, name]
            ratio = "" if name == "floor" else f", {cost['us'] / floor:.2f} x"
            cells.append(_marked(name, f"{cost['us']:.1f} us ({cost['least']:.1f} to {cost['most']:.1f}){ratio}"))
        body.append([f"{viewers:,}", *cells])
    _print(["viewers", *({"floor": "C", **_PEERS}[name] for name in names)], body)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print_links(rows(folder / "links.jsonl"))
    print_fanout(rows(folder / "fanout.jsonl"))


if __name__ == "__main__":
    main()
