"""A plant that nobody has seen: machines, what their sensors read, and when they failed, as other people's CSV files.

Here: files of two deliveries, with what goes wrong in such files. Not here: what is made of them; the test says that.
"""

from __future__ import annotations

import math
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

MACHINES, DAYS, SECOND_DELIVERY = 40, 110, 100
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
LOST_DAY = 97  # its readings come with the second delivery
_READINGS_A_DAY = 4

Lines = dict[str, list[str]]


def write_deliveries(folder: Path, seed: int = 11) -> dict[str, Lines]:
    """Writes the first delivery to the folder; returns both, as lines by file name, the second for `write`."""
    chance = random.Random(seed)
    readings, failures = _lives(chance)
    machines = ["machine,make,installed_at", *(
        f"M{number:02},{chance.choice(['north', 'south'])},2023-{1 + number % 12:02}-01 08:00:00"
        for number in range(MACHINES)
    )]  # fmt: skip
    first: Lines = {"machines.csv": machines}
    second: Lines = {}
    for day, lines in readings.items():
        name = f"readings-{FIRST_DAY + timedelta(days=day - day % 10):%Y-%m-%d}.csv"
        of_second = day >= SECOND_DELIVERY or day == LOST_DAY
        name = "readings-late.csv" if day == LOST_DAY else name
        (second if of_second else first).setdefault(name, ["machine,read_at,recorded_at,temperature,vibration"]).extend(
            lines
        )
    for day, lines in failures.items():
        of_second = day >= SECOND_DELIVERY
        name = "failures-2.csv" if of_second else "failures-1.csv"
        (second if of_second else first).setdefault(name, ["failure,machine,failed_at,reported_at"]).extend(lines)
    _spoil(first, second)
    write(folder, first)
    return {"first": first, "second": second}


def write(folder: Path, files: Lines) -> None:
    """As written a while ago: a feed leaves alone what may still grow."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
        before = (folder / name).stat().st_mtime - 60
        os.utime(folder / name, (before, before))


def _lives(chance: random.Random) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Readings and failures by day: a machine wears out, shakes the more for it, fails, and is repaired."""
    wear = [chance.random() for _ in range(MACHINES)]
    readings: dict[int, list[str]] = {}
    failures: dict[int, list[str]] = {}
    number = 0
    for day in range(DAYS):
        for machine in range(MACHINES):
            wear[machine] += chance.uniform(0.0, 0.1)
            for quarter in range(_READINGS_A_DAY):
                at = FIRST_DAY + timedelta(days=day, hours=6 * quarter, minutes=machine)
                shaking = 2 + 3 * wear[machine] + chance.gauss(0, 0.4)
                warmth = 60 + 5 * wear[machine] + 4 * math.sin(quarter) + chance.gauss(0, 2)
                recorded = at + timedelta(minutes=2)
                line = f"M{machine:02},{at:%Y-%m-%d %H:%M:%S},{recorded:%Y-%m-%d %H:%M:%S},{warmth:.2f},{shaking:.2f}"
                readings.setdefault(day, []).append(line)
            if chance.random() < 0.6 / (1 + math.exp(8 * (1.2 - wear[machine]))):
                failed = FIRST_DAY + timedelta(days=day, hours=chance.uniform(18, 23.5))
                told = failed + timedelta(minutes=20)
                number += 1
                failures.setdefault(day, []).append(
                    f"F{number:04},M{machine:02},{failed:%Y-%m-%d %H:%M:%S},{told:%Y-%m-%d %H:%M:%S}"
                )
                wear[machine] = chance.uniform(0.0, 0.3)
    return readings, failures


def _spoil(first: Lines, second: Lines) -> None:
    """What goes wrong: a line said twice, a file said twice, a value that is none, one that cannot be, a correction."""
    name = min(one for one in first if one.startswith("readings-"))
    lines = first[name]
    lines.append(lines[5])
    lines[9] = lines[9].rsplit(",", 2)[0] + ",hot,3.10"
    lines[12] = lines[12].rsplit(",", 1)[0] + ",-4.00"
    second["readings-copy.csv"] = list(lines)
    machine, read_at, _, warmth, _ = lines[20].split(",")
    second["readings-late.csv"].append(f"{machine},{read_at},2024-04-12 09:00:00,{warmth},9.99")
