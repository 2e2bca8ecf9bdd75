"""The names of a table's parts, and which of them a stretch of time can be in.

What belongs here: the grammar of part names, which dbt writes by `config.meta.publish` (`part_name` in
macros/publishing/publish.sql). What does not: reading a part (`snapshot.py`).

A part is a month (`2013-10`) or a year (`2013`) of one column, or anything else (`all`, or `none` for rows that lack
it), which can hold any moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from ml_assets.moments import in_utc

_OF_A_TIME = re.compile(r"(\d{4})(?:-(\d{2}))?")


def may_hold(part: str, first: datetime | None = None, last: datetime | None = None) -> bool:
    """Whether a part of this name can hold a moment from `first` through `last`; without one of them, any before or
    after the other.

    >>> [may_hold(part, datetime(2013, 3, 31), datetime(2013, 5, 1)) for part in ("2013-02", "2013-03", "2013-05")]
    [False, True, True]
    >>> [may_hold(part, first=datetime(2013, 3, 31)) for part in ("2012", "2013", "2014-01", "all", "none")]
    [False, True, True, True, True]
    """
    found = _OF_A_TIME.fullmatch(part)
    if found is None:
        return True
    form = "%Y-%m" if found[2] else "%Y"
    return (first is None or part >= in_utc(first).strftime(form)) and (
        last is None or part <= in_utc(last).strftime(form)
    )


def parts_between(parts: Iterable[str], first: datetime | None = None, last: datetime | None = None) -> list[str]:
    """Those of the parts that can hold such a moment, in their order."""
    return [part for part in parts if may_hold(part, first, last)]
