"""What goes wrong with a feed, done on purpose.

What belongs here: changing landing files for demonstrations and tests. What does not: noticing it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ml_assets.feeds.declared import Demo


def landed_files(landing: Path, source: str, demo: Demo) -> set[Path]:
    """The files of the table that the demonstration changes."""
    return set((landing / source / demo.table).glob("*.csv"))


def change_the_world(landing: Path, source: str, demo: Demo, seen: set[Path]) -> None:
    """Each whole number of the declared column is higher by `add`, in the files that are not yet `seen`."""
    for file in sorted(landed_files(landing, source, demo) - seen):
        seen.add(file)
        header, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
        place = header.index(demo.column)
        text = io.StringIO(newline="")
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(header)
        for row in rows:
            value = row[place]
            changed = str(int(value) + demo.add) if value.lstrip("-").isdigit() else value
            lines.writerow([*row[:place], changed, *row[place + 1 :]])
        file.write_text(text.getvalue(), encoding="utf-8")
