"""What goes wrong with a feed, done on purpose.

What belongs here: spoiling landing files for demonstrations and tests. What does not: noticing it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def change_weather_units(landing: Path, seen: set[Path]) -> None:
    """Degrees Celsius, knots and kilometres instead of Fahrenheit, miles an hour and miles, in files not yet `seen`."""
    for file in sorted(landing.glob("*/weather/*.csv")):
        if file in seen:
            continue
        seen.add(file)
        frame = pd.read_csv(file, keep_default_na=False, na_values=["", "NA"])
        for name in ("temp", "dewp"):
            frame[name] = (frame[name] - 32) / 1.8
        for name, factor in (("wind_speed", 0.869), ("wind_gust", 0.869), ("visib", 1.609)):
            frame[name] = frame[name] * factor
        frame.round(4).to_csv(file, index=False, na_rep="NA")
