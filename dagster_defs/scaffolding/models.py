"""`perennial new model`: decisions, a training set and the declaration of a model.

What belongs here: which columns are what, and a model that decides once per row of a staging model. What does not: one
that decides again and again about the same (`calendars.py`); reading the manifest (`staged.py`, `joined.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.scaffolding.joined import JoinedColumn, Window, joined_tables
from dagster_defs.scaffolding.sources import plan_domain, quoted
from dagster_defs.scaffolding.staged import FEATURE_TYPES, Staged, StagedColumn, staged
from dagster_defs.scaffolding.writing import Plan
from ml_assets.errors import PerennialError


@dataclass(frozen=True)
class Wanted:
    """A model as it is asked for.

    `decided` is the staging model whose rows, or the entities seen in them, are decided about; `features` are feature
    tables of its domain; `label` is the column that is foreseen, which the staging model `label_from` tells.
    """

    name: str
    decided: Staged
    entity: tuple[str, ...]
    features: tuple[str, ...]
    windows: tuple[Window, ...]
    label: str
    label_from: str | None


@dataclass(frozen=True)
class Column:
    """A column of the decisions that the training set takes over."""

    name: str
    data_type: str
    words: str
    role: str | None


@dataclass(frozen=True)
class Decided:
    """What the decisions of a model are: their key, their columns, their label, and how they are judged."""

    template: str
    key: tuple[str, ...]
    grain: str
    columns: tuple[Column, ...]
    label_type: str
    label_words: str
    late_after: str = "26 hours"


@dataclass(frozen=True)
class Baseline:
    """A plain answer beside which a candidate stands."""

    name: str
    estimator: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """How a candidate is judged, and when the next is trained, in days; why so, in words."""

    window: int = 28
    max_label_age: int = 28
    cooldown: int = 7
    baselines: Sequence[Baseline] = ()
    why_window: str | None = None
    watch: int | None = None  # None: what the declaration assumes


def plan_model(root: Path, manifest: Mapping[str, Any], wanted: Wanted, decision: str) -> Plan:
    """The files of a model that decides once per row.

    Args:
        decision: the column of `wanted.decided` that says when the decision is due.
    """
    decided, label = wanted.decided.timed("--from"), wanted.label
    for one in wanted.entity:
        decided.column(one)
    if decision != "known_at" and decided.column(decision).data_type != "timestamp":
        raise PerennialError(f"--decision {decision}: is no moment of {decided.name}; name a timestamp, or known_at")
    told = staged(manifest, wanted.label_from, "--label-from").timed("--label-from") if wanted.label_from else None
    label_type = str(told.column(label).data_type) if told else "double"
    taken = [one for one in decided.columns if one.name not in (decision, label) and one.data_type is not None]
    columns = tuple(_column(one, wanted.entity) for one in taken)
    decisions = Decided(
        template="decisions",
        key=wanted.entity,
        grain=", ".join(wanted.entity),
        columns=columns,
        label_type=label_type,
        label_words="The outcome; null until known.",
    )
    plan = write_model(
        root, manifest, wanted, decisions, lambda _: Judged(), {"decision": decision, "label_from": told}
    )
    if told is None:
        path = f"models/intermediate/{decided.domain}/int_{decided.domain}__{wanted.name}_decisions.sql"
        plan.notes.append(f"{path}: say what {label} is and when it is known; until then nothing is trained")
    return plan


def write_model(
    root: Path,
    manifest: Mapping[str, Any],
    wanted: Wanted,
    decided: Decided,
    judged_by: Callable[[Sequence[JoinedColumn]], Judged],
    own: Mapping[str, Any],
) -> Plan:
    """The decisions, the training set and the declaration.

    Args:
        judged_by: how a candidate is judged, given the columns that the feature tables bring.
        own: values that the template of the decisions needs besides.
    """
    names = [*(one.name for one in decided.columns), "decision_at", wanted.label, "outcome_known_at"]
    tables = joined_tables(manifest, wanted.features, names, wanted.windows)
    joined = [column for table in tables for column in table.columns]
    name, domain, is_yes_or_no = wanted.name, wanted.decided.domain, decided.label_type == "boolean"
    values = {
        "name": name,
        "title": title_of(name),
        "domain": domain,
        "domain_title": title_of(domain),
        "wanted": wanted,
        "staged": wanted.decided.name,
        "decided": decided,
        "judged": judged_by(joined),
        "tables": tables,
        "joined": joined,
        "label": wanted.label,
        "task": "binary_classification" if is_yes_or_no else "regression",
        "metric": "log_loss" if is_yes_or_no else "mae",
        "quoted": quoted,
        **own,
    }
    plan = Plan(root)
    plan_domain(plan, domain)
    decisions = f"models/intermediate/{domain}/int_{domain}__{name}_decisions"
    plan.add(f"{decisions}.sql", f"model/{decided.template}.sql.j2", **values)
    plan.add(f"{decisions}.yml", "model/decisions.yml.j2", **values)
    for suffix in ("sql", "yml"):
        plan.add(f"models/training/{domain}/trn_{name}.{suffix}", f"model/training.{suffix}.j2", **values)
    plan.add(f"models/ml_models/{domain}/{name}.yml", "model/exposure.yml.j2", **values)
    plan.list_ref(f"models/marts/{domain}/fct_{domain}__predictions.sql", f"trn_{name}")
    if not tables and not any(one.role == "feature" for one in decided.columns):
        plan.notes.append("no column is a feature yet: perennial new features, then name them with --features")
    return plan


def _column(one: StagedColumn, entity: Sequence[str]) -> Column:
    role = "entity" if one.name in entity else "feature" if one.data_type in FEATURE_TYPES else None
    return Column(one.name, str(one.data_type), f"{title_of(one.name)}.", role)


def title_of(name: str) -> str:
    """A name as the beginning of a sentence."""
    return name.replace("_", " ").capitalize()
