"""How many answered decisions no longer stand as they were answered, as it was last counted.

What belongs here: those counts, and the file `skew.json` beside the predictions that keeps them by part. What does not:
counting (`skew.py`). Nothing here takes long to import, so that `perennial status` can say them.

The file is derived; if it is lost or cannot be read, all is counted again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ml_assets.lake.files import write_whole
from ml_assets.lake.results import Results


@dataclass(frozen=True)
class Skew:
    """Of the answered decisions: how many were compared, how many of those differ now (`first` is the first day with
    such a one), how many the training set does not hold, and of how many it is not known what they were answered from.
    """

    compared: int = 0
    differing: int = 0
    absent: int = 0
    unknown: int = 0
    first: date | None = None

    def __add__(self, other: Skew) -> Skew:
        days = [day for day in (self.first, other.first) if day]
        return Skew(
            self.compared + other.compared,
            self.differing + other.differing,
            self.absent + other.absent,
            self.unknown + other.unknown,
            min(days, default=None),
        )

    @property
    def text(self) -> str:
        """A sentence."""
        if not self.differing:
            return f"All {self.compared:,} answered decisions stand in the training set as they were answered."
        return (
            f"{self.differing:,} of {self.compared:,} answered decisions stand in the training set with other inputs "
            f"than they were answered from, the first on {self.first}."
        )


@dataclass(frozen=True)
class Counted:
    """The skew of one part of the training set; `seal` tells what was compared."""

    seal: str
    skew: Skew


def last_skew(lake: Results, model: str) -> Skew | None:
    """What the last scoring counted (`absent` is not kept and 0); None if nothing was."""
    found = remembered_counts(lake, model)
    return sum((one.skew for one in found.values()), Skew()) if found else None


def remembered_counts(lake: Results, model: str) -> dict[str, Counted]:
    """By part; empty if nothing was counted."""
    try:
        found = json.loads(_path(lake, model).read_text())
        return {part: Counted(one["seal"], _skew_from(one)) for part, one in found.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def remember_counts(lake: Results, model: str, found: Mapping[str, Counted]) -> None:
    """Replaces what was counted, whole or not at all."""
    plain = {part: {"seal": one.seal, **_plain(one.skew)} for part, one in found.items()}
    write_whole(_path(lake, model), json.dumps(plain, indent=1, sort_keys=True).encode())


def _plain(skew: Skew) -> dict[str, Any]:
    return {**asdict(skew), "first": str(skew.first) if skew.first else None}


def _skew_from(found: Mapping[str, Any]) -> Skew:
    counts = {name: int(found[name]) for name in ("compared", "differing", "absent", "unknown")}
    return Skew(**counts, first=date.fromisoformat(found["first"]) if found["first"] else None)


def _path(lake: Results, model: str) -> Path:
    return lake.predictions_folder(model) / "skew.json"
