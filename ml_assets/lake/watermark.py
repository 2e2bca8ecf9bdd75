"""How far in time a published training set goes.

What belongs here: that moment. What does not: the watermarks of feeds and domains, which dbt works out.

A part's bytes never change under their hash, so each part is looked at once a process.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.snapshot import Part, Snapshot
from ml_assets.moments import from_datetime64


def known_through(lake: Snapshot, declaration: ModelDeclaration) -> datetime | None:
    """The latest moment that the training set speaks of: its latest decision, or the latest label that became known;
    None if it has no rows.

    Raises:
        LakeError: if it is not published, or cannot be read.
    """
    columns = (declaration.decision_at, declaration.label_known_at)
    latest = [_latest(lake.root, part, columns) for part in lake.parts(declaration.training_set)]
    known = [moment for moment in latest if not np.isnat(moment)]
    return from_datetime64(max(known)) if known else None


@lru_cache(maxsize=4096)
def _latest(root: Path, part: Part, columns: tuple[str, ...]) -> np.datetime64:
    table = Snapshot(root, (part,)).read(part.table, columns, [part.part])
    times = np.concatenate([moments(column) for column in table.columns])
    times = times[~np.isnat(times)]
    return times.max() if len(times) else np.datetime64("NaT", "us")
