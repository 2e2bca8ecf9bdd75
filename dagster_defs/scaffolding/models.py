"""`perennial new model`: decisions, a training set and the declaration of a model.

What belongs here: which columns are what. What does not: reading the manifest (`staged.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.scaffolding.sources import plan_domain, quoted
from dagster_defs.scaffolding.staged import Staged, StagedColumn, staged
from dagster_defs.scaffolding.writing import Plan
from ml_assets.errors import PerennialError

_FEATURE_TYPES = ("varchar", "boolean", "integer", "bigint", "double")
_WINDOWS = ("7d", "28d")


@dataclass(frozen=True)
class _Features:
    """A feature table, as the training set joins it."""

    table: str
    on: tuple[str, ...]
    prefix: str
    accumulates: bool
    columns: tuple[StagedColumn, ...]

    @property
    def joined(self) -> tuple[StagedColumn, ...]:
        if not self.accumulates:
            return tuple(StagedColumn(f"{self.prefix}{one.name}", one.data_type) for one in self.columns)
        return tuple(
            StagedColumn(f"{self.prefix}{one.name}_{window}", one.data_type)
            for window in _WINDOWS
            for one in self.columns
        )


def plan_model(
    root: Path,
    manifest: Mapping[str, Any],
    name: str,
    decided: Staged,
    entity: Sequence[str],
    decision: str,
    features: Sequence[str],
    label: str,
    label_from: str | None,
) -> Plan:
    """The files of a model that decides once per entity.

    Args:
        decided: the staging model with one row per decision.
        decision: its column that says when the decision is due.
        features: feature tables of the domain, joined by the columns that they share with the decisions.
        label: the column that is foreseen, of the staging model `label_from`; without one, its place is left open.
    """
    for one in entity:
        decided.column(one)
    if decision != "known_at" and decided.column(decision).data_type != "timestamp":
        raise PerennialError(f"--decision {decision}: is no moment of {decided.name}; name a timestamp, or known_at")
    label_type = str(staged(manifest, label_from).column(label).data_type) if label_from else "double"
    columns = [one for one in decided.columns if one.name not in (decision, label) and one.data_type is not None]
    tables = [_features(manifest, table, decided) for table in features]
    own = [one.name for one in columns if one.name not in entity and one.data_type in _FEATURE_TYPES]
    domain = decided.domain
    values = {
        "name": name,
        "title": _title(name),
        "domain": domain,
        "domain_title": _title(domain),
        "staged": decided.name,
        "entity": list(entity),
        "decision": decision,
        "columns": columns,
        "own_features": own,
        "features": tables,
        "joined": [column for table in tables for column in table.joined],
        "label": label,
        "label_from": label_from,
        "label_type": label_type,
        "task": "binary_classification" if label_type == "boolean" else "regression",
        "metric": "log_loss" if label_type == "boolean" else "mae",
        "quoted": quoted,
        "words": lambda column: f"{_title(column)}.",
    }
    plan = Plan(root)
    plan_domain(plan, domain)
    decisions = f"models/intermediate/{domain}/int_{domain}__{name}_decisions"
    training = f"models/training/{domain}/trn_{name}"
    for path, template in ((decisions, "decisions"), (training, "training")):
        for suffix in ("sql", "yml"):
            plan.add(f"{path}.{suffix}", f"model/{template}.{suffix}.j2", **values)
    plan.add(f"models/ml_models/{domain}/{name}.yml", "model/exposure.yml.j2", **values)
    plan.list_ref(f"models/marts/{domain}/fct_{domain}__predictions.sql", f"trn_{name}")
    if label_from is None:
        plan.notes.append(f"{decisions}.sql: say what {label} is and when it is known; until then nothing is trained")
    if not own and not tables:
        plan.notes.append("no column is a feature yet: perennial new features, then name them with --features")
    return plan


def _features(manifest: Mapping[str, Any], table: str, decided: Staged) -> _Features:
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["name"].startswith("ftr_")}
    if table not in nodes:
        raise PerennialError(f"--features {table}: is no feature table; there are {', '.join(sorted(nodes))}")
    columns = nodes[table]["columns"].values()
    roles = {one["name"]: (one.get("config") or {}).get("meta", {}).get("role") for one in columns}
    on = tuple(name for name, role in roles.items() if role == "entity")
    shared = {one.name for one in decided.columns}
    if lacking := [name for name in on if name not in shared]:
        raise PerennialError(f"--features {table}: {decided.name} has no column {', '.join(lacking)} to join it by")
    values = tuple(StagedColumn(one["name"], one["data_type"]) for one in columns if roles[one["name"]] is None)
    prefix = f"{table.removeprefix('ftr_').replace('__', '_')}_"
    return _Features(table, on, prefix, "accumulate(" in nodes[table]["raw_code"], values)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
