"""Feature tables as a training set joins them: by which columns, over which windows, and what the columns are called.

What belongs here: names, units and words of joined columns. What does not: which rows they are joined to (`models.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.scaffolding.staged import FEATURE_TYPES, HUNDREDTHS
from ml_assets.errors import PerennialError

_WINDOW = re.compile(r"([1-9]\d*) *(minute|hour|day|week)s?")


@dataclass(frozen=True)
class Window:
    """A stretch before the decision, as `point_in_time_join` reads it."""

    number: int
    unit: str

    @property
    def text(self) -> str:
        return f"{self.number} {self.unit}{'' if self.number == 1 else 's'}"

    @property
    def slug(self) -> str:
        return f"{self.number}{self.unit[0]}"

    @property
    def hours(self) -> float:
        return self.number * {"minute": 1 / 60, "hour": 1, "day": 24, "week": 168}[self.unit]


@dataclass(frozen=True)
class JoinedColumn:
    """A column of the training set that comes from a feature table, in the unit that people think in.

    `measure` is what is counted, without its unit, and `read_from` the models that it is counted from.
    """

    name: str
    sql: str
    data_type: str
    words: str
    measure: str
    window: Window | None
    read_from: frozenset[str]


@dataclass(frozen=True)
class JoinedTable:
    """A feature table, as the training set joins it."""

    table: str
    on: tuple[str, ...]
    prefix: str
    accumulates: bool
    fetched: tuple[str, ...]
    columns: tuple[JoinedColumn, ...]


def windows_in(option: str, said: Iterable[str]) -> tuple[Window, ...]:
    """Windows such as `7 days`; several may be separated by commas.

    >>> [window.slug for window in windows_in("--windows", ["7 days, 28 days", "6 hours"])]
    ['7d', '28d', '6h']
    """
    found = []
    for one in (part.strip() for text in said for part in text.split(",")):
        match = _WINDOW.fullmatch(one)
        if match is None:
            raise PerennialError(f"{option} {one!r}: say a number and minutes, hours, days or weeks, such as '28 days'")
        found.append(Window(int(match[1]), match[2]))
    return tuple(found)


def joined_tables(
    manifest: Mapping[str, Any], tables: Sequence[str], own: Sequence[str], windows: Sequence[Window]
) -> tuple[JoinedTable, ...]:
    """The feature tables, joined by the columns that they share with the decisions.

    Args:
        own: the decisions' own columns; joined columns whose names are taken get their table's name before them.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["name"].startswith("ftr_")}
    for table in tables:
        if table not in nodes:
            known = ", ".join(sorted(nodes)) or "none yet (perennial new features)"
            raise PerennialError(f"--features {table}: is no feature table; there are {known}")
    plain = [_joined(nodes[table], own, "", windows) for table in tables]
    often = Counter([*own, *(column.name for one in plain for column in one.columns)])
    return tuple(
        one
        if all(often[column.name] == 1 for column in one.columns)
        else _joined(nodes[one.table], own, f"{one.table.removeprefix('ftr_').replace('__', '_')}_", windows)
        for one in plain
    )


def _joined(node: Mapping[str, Any], own: Sequence[str], prefix: str, windows: Sequence[Window]) -> JoinedTable:
    columns = node["columns"].values()
    roles = {one["name"]: (one.get("config") or {}).get("meta", {}).get("role") for one in columns}
    on = tuple(name for name, role in roles.items() if role == "entity")
    if lacking := [name for name in on if name not in own]:
        raise PerennialError(
            f"--features {node['name']}: the decisions have no column {', '.join(lacking)} to join it by; "
            f"they have {', '.join(own)}"
        )
    accumulates = "accumulate(" in node["raw_code"]
    measures = [one for one in columns if roles[one["name"]] is None and one["data_type"] in FEATURE_TYPES]
    read_from = frozenset(one.rpartition(".")[2] for one in node["depends_on"]["nodes"])
    found = [
        _column(one["name"], one["data_type"], one["description"], prefix, window, read_from)
        for window in (windows if accumulates else (None,))
        for one in measures
    ]
    return JoinedTable(node["name"], on, prefix, accumulates, tuple(one["name"] for one in measures), tuple(found))


def _column(
    measure: str, data_type: str, description: str, prefix: str, window: Window | None, read_from: frozenset[str]
) -> JoinedColumn:
    fetched = f"{prefix}{measure}"
    if window is None:
        return JoinedColumn(fetched, fetched, data_type, description, measure, None, read_from)
    fetched = f"{fetched}_{window.slug}"
    words = f"{description.strip().rstrip('.')}, in the {window.text} up to the decision."
    if not measure.endswith(HUNDREDTHS):
        return JoinedColumn(fetched, fetched, data_type, words, measure, window, read_from)
    measure, words = measure.removesuffix(HUNDREDTHS), words.replace(", in hundredths", "")
    name = f"{prefix}{measure}_{window.slug}"
    return JoinedColumn(name, f"{fetched} / 100", "double", words, measure, window, read_from)
