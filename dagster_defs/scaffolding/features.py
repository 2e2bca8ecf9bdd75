"""`perennial new features`: a feature table of one entity, from a staging model.

What belongs here: which columns it has, and how they are counted. What does not: reading the manifest (`staged.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dagster_defs.scaffolding.sources import quoted
from dagster_defs.scaffolding.staged import HUNDREDTHS, Staged
from dagster_defs.scaffolding.writing import Plan

Kind = Literal["accumulator", "state"]


def plan_features(root: Path, name: str, staged: Staged, entity: Sequence[str], kind: Kind) -> Plan:
    """The model and its contract.

    An accumulator counts the rows and adds up their numbers, so that any window is the difference of two rows; a state
    holds what was last known.
    """
    keys = [staged.column(one) for one in entity]
    others = [one for one in staged.columns if one.name not in entity and one.data_type is not None]
    measures: list[dict[str, str | None]] = [
        {"name": one.name, "data_type": one.data_type, "words": _words(one.name)} for one in others
    ]
    if kind == "accumulator":
        staged.timed("--from")
        count = "events" if "events" not in {one.name for one in others} else "event_count"
        measures = [_sum(count, "1", f"Rows of {staged.name}.")]
        for one in others:
            if one.is_whole:
                measures.append(_sum(one.name, f"coalesce({one.name}, 0)", f"Sum of {one.name}."))
            elif one.is_fraction:
                sql = f"coalesce(round({one.name} * 100)::bigint, 0)"
                measures.append(_sum(f"{one.name}{HUNDREDTHS}", sql, f"Sum of {one.name}, in hundredths."))
    plan = Plan(root)
    table = f"ftr_{'_'.join(entity)}__{name}"
    folder = f"models/features/{staged.domain}"
    values = {
        "table": table,
        "staged": staged.name,
        "entity": keys,
        "kind": kind,
        "measures": measures,
        "quoted": quoted,
    }
    plan.add(f"{folder}/{table}.sql", f"features/{kind}.sql.j2", **values)
    plan.add(f"{folder}/{table}.yml", "features/features.yml.j2", **values)
    return plan


def _sum(name: str, sql: str, words: str) -> dict[str, str | None]:
    return {"name": name, "data_type": "bigint", "sql": sql, "words": words}


def _words(name: str) -> str:
    return f"{name.replace('_', ' ').capitalize()}, as last known."
