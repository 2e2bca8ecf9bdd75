"""What goes wrong with a feed, done on purpose.

What belongs here: changing landing files for demonstrations and tests. What does not: noticing it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def lose_time_on_the_way(landing: Path, seen: set[Path], minutes: int = 25) -> None:
    """Every arrival in files not yet `seen` is that much later, as if the airspace had been closed to short ways."""
    for file in sorted(landing.glob("*/arrivals/*.csv")):
        if file in seen:
            continue
        seen.add(file)
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame["arr_delay"] = [
            str(int(delay) + minutes) if delay.lstrip("-").isdigit() else delay for delay in frame["arr_delay"]
        ]
        frame.to_csv(file, index=False)
