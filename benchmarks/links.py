"""
The age of pictures over slow links: python -m benchmarks.links [--only ours,...] [--on "1 Mbit/s"]

One viewer at the end of an emulated link (tests.emulated_link; needs root) watches one server after the other, each
with the same clip at 30 pictures a second and its own settings for this use (benchmarks.peers). Ages are those of the
pictures on arrival, by one clock; the goal is 1.25 times what a picture takes on the link, plus 50 ms. --save keeps all
results.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.frames import FRAME_BYTES
from benchmarks.peers import SERVERS, VIEWER_LISTENS, command
from tests.emulated_link import SERVER_HOST, VIEWER_HOST, Conditions, link

LINKS = {
    "1 Mbit/s, 40 ms, queue of 1 MB": Conditions(1e6, 0.040, queue=1e6),
    "3 Mbit/s, 30 ms, still 0.3 s in 5": Conditions(3e6, 0.030, stall_every=5.0, stall_seconds=0.3),
    "4 Mbit/s, 150 ms": Conditions(4e6, 0.150),
    "3 Mbit/s, 20 ms, 1 % lost": Conditions(3e6, 0.020, loss=0.01),
    "20 Mbit/s, 5 ms, 1 % lost": Conditions(20e6, 0.005, loss=0.01),
    "50 Mbit/s, 2 ms": Conditions(50e6, 0.002),
    "300 kB/s, 20 ms": Conditions(2.4e6, 0.020),
}
_OURS = ("ours", "tls", "http")
_PORT = 9999
_WARM_UP_SECONDS = 4.0


@dataclass(frozen=True)
class Seen:
    """What one viewer saw after the first seconds: the times since then and the ages, in seconds."""

    name: str
    link: str
    congestion: str
    times: Sequence[float]
    ages: Sequence[float]
    seconds: float

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return len(self.ages) / self.seconds

    def percentile(self, percent: int) -> float:
        """A percentile of the ages in seconds; infinite if no picture came."""
        ordered = sorted(self.ages)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else float("inf")


def own_seconds(conditions: Conditions) -> float:
    """The seconds that a picture takes on an idle link, with 4 % for headers."""
    return FRAME_BYTES * 1.04 * 8 / conditions.rate + conditions.delay


def measure(name: str, where: str, congestion: str, seconds: float) -> Seen:
    """Serve and watch over one link."""
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(link(LINKS[where], congestion))
        host = VIEWER_HOST if name in VIEWER_LISTENS else SERVER_HOST
        serving = subprocess.Popen([*ends.server, *command("serve", name, host, _PORT)], stderr=subprocess.DEVNULL)
        watch = [*ends.viewer, *command("watch", name, host, _PORT)]
        kept = stack.enter_context(tempfile.TemporaryFile("w+"))  # a pipe would fill up at some time
        watching = subprocess.Popen(watch, stdout=kept, stderr=subprocess.DEVNULL)
        time.sleep(_WARM_UP_SECONDS + seconds)
        ended = time.time()
        for process in (watching, serving):
            process.kill()
            process.wait()
        kept.seek(0)
        rows = [line.split() for line in kept]
    began = ended - seconds
    seen = [(float(row[0]), float(row[1])) for row in rows if len(row) == 3 and began < float(row[0]) <= ended]
    return Seen(name, where, congestion, [t - began for t, _ in seen], [t - taken for t, taken in seen], seconds)


def describe(seen: Seen, ungated: Seen | None) -> str:
    """One row of the table."""
    own = own_seconds(LINKS[seen.link])
    median, p95 = seen.percentile(50), seen.percentile(95)
    row = f"{seen.name:10} {median:7.3f} s {p95:7.3f} s {median / own:6.2f} x {seen.fps:5.1f} fps"
    tenth = len(seen.ages) // 10 or 1
    early, late = (statistics.median(part or [own]) for part in (seen.ages[:tenth], seen.ages[-tenth:]))
    row += f", first and last tenth {early:.3f} and {late:.3f} s"
    if seen.name in _OURS:
        aim = 1.25 * own + 0.05
        row += f"  aim {aim:.3f}, {2 * aim:.3f}: {'reached' if median <= aim and p95 <= 2 * aim else 'not reached'}"
        if ungated is not None:
            row += f", {len(seen.ages) / max(1, len(ungated.ages)):.0%} of the ungated pictures"
    return row


def as_json(seen: Seen) -> dict[str, Any]:
    """What is saved of one run."""
    points = [[round(t, 3), round(age, 4)] for t, age in zip(seen.times, seen.ages, strict=True)]
    return {
        "name": seen.name,
        "link": seen.link,
        "congestion": seen.congestion,
        "seconds": seen.seconds,
        "seen": points,
    }


def main() -> None:
    """Measure all on each link and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SERVERS))
    parser.add_argument("--on", default="", help="links whose name has this in it")
    parser.add_argument("--congestion", default="cubic,bbr")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--save", type=argparse.FileType("w"), help="opened now, not when hours are over")
    options = parser.parse_args()
    kept = []
    for congestion in options.congestion.split(","):
        for where in (one for one in LINKS if options.on in one):
            own = own_seconds(LINKS[where])
            print(f"\n{where}, {congestion}: a picture takes {own:.3f} s (age median, p95, median in these, pictures)")
            # The others are measured only with the congestion control that nearly all machines use.
            names = [name for name in options.only.split(",") if congestion == "cubic" or name in ("ours", "ungated")]
            runs = {name: measure(name, where, congestion, options.seconds) for name in names}
            for seen in runs.values():
                print(describe(seen, runs.get("ungated")), flush=True)
            kept += [as_json(seen) for seen in runs.values()]
    if options.save:
        options.save.write("\n".join(json.dumps(one, separators=(",", ":")) for one in kept) + "\n")


if __name__ == "__main__":
    main()
