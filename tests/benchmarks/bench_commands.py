"""How long the commands that look take, as ratios of importing what any such command imports (typer, rich, pyarrow).

The home is PERENNIAL_HOME, or var/: run it after `make run`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TIMES = 7
PROGRAM = str(Path(sys.executable).parent / "perennial")
PEER = [sys.executable, "-c", "import typer, rich, pyarrow"]
COMMANDS = {
    "--help": [PROGRAM, "--help"],
    "decisions": [PROGRAM, "decisions"],
    "why": [PROGRAM, "why", "late_arrival"],
    "status": [PROGRAM, "status"],
}


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall and CPU, the median of several starts after one that warms the caches."""
    walls, cpus = [], []
    for _ in range(TIMES + 1):
        before, began = os.times(), time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        after = os.times()
        walls.append(time.perf_counter() - began)
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(walls[1:]), statistics.median(cpus[1:])


def main() -> None:
    peer_wall, peer_cpu = seconds(PEER)
    print(f"{'peer: imports alone':22} {peer_wall:6.2f} s wall  {peer_cpu:6.2f} s CPU")
    for name, command in COMMANDS.items():
        wall, cpu = seconds(command)
        print(f"{name:22} {wall:6.2f} s wall  {cpu:6.2f} s CPU   {cpu / peer_cpu:5.1f} times the peer's CPU")


if __name__ == "__main__":
    main()
