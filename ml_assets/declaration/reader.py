"""What a model is, as its dbt exposure declares it: read from dbt's manifest and checked as a whole.

What belongs here: every check that needs the training set's columns. What does not: the keys of the
block and their types (`schema.py`), and doing anything with a declaration.

An exposure of `type: ml` names its one training set in `depends_on`; the roles of that table's columns are in their own
`config.meta.role`. All mistakes of all models are collected and raised together, so that one reading mends them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_assets.declaration.domains import Domain, domain_of, read_domains
from ml_assets.declaration.model import (
    BASELINES,
    NEEDS_COLUMN,
    SHIPPED_ESTIMATORS,
    Feature,
    FeatureKind,
    ModelDeclaration,
    columns_named,
)
from ml_assets.declaration.outside import factory_of
from ml_assets.declaration.schema import Baseline, FeatureChoice, MlBlock, Owner, Task, did_you_mean, parse_block
from ml_assets.errors import DeclarationError
from ml_assets.measuring.metrics import METRICS, metrics_of

__all__ = ["SHIPPED_ESTIMATORS", "Feature", "ModelDeclaration", "Owner", "read_declarations"]

TryOut = Callable[[ModelDeclaration], Iterable[tuple[str, str]]]

ROLES = ("entity", "decision_at", "known_at", "feature", "label", "label_known_at")
_TEXT_TYPES = ("varchar", "text", "string", "char", "enum")
_BOOLEAN_TYPES = ("bool", "boolean")
_INTEGER_TYPES = ("tinyint", "smallint", "integer", "int", "bigint", "hugeint")
_UNSIGNED_TYPES = ("utinyint", "usmallint", "uinteger", "ubigint")
_FRACTION_TYPES = ("float", "real", "double", "double precision", "decimal", "numeric")
_MOMENT_TYPES = ("date", "timestamp", "timestamptz", "timestamp with time zone", "timestamp without time zone")
ENTITY_TYPES = (*_TEXT_TYPES, *_BOOLEAN_TYPES, *_INTEGER_TYPES, *_UNSIGNED_TYPES, "decimal", "numeric", *_MOMENT_TYPES)
_NUMBER_TYPES = (*_BOOLEAN_TYPES, *_INTEGER_TYPES, *_UNSIGNED_TYPES, *_FRACTION_TYPES)


def read_declarations(
    manifest: Mapping[str, Any] | Path | str, try_out: TryOut | None = None
) -> dict[str, ModelDeclaration]:
    """Every declared model of a dbt manifest, by name, in the order of the names.

    Args:
        try_out: says why a declaration that reads well cannot be used, place by place
            (`fitting.estimators.why_not_built`).

    Raises:
        DeclarationError: with all mistakes of all models, one line each.
    """
    content = manifest if isinstance(manifest, Mapping) else json.loads(Path(manifest).read_text())
    declarations: dict[str, ModelDeclaration] = {}
    problems: list[str] = []
    domains = read_domains(content)
    exposures = [exposure for exposure in content.get("exposures", {}).values() if exposure.get("type") == "ml"]
    for exposure in sorted(exposures, key=lambda exposure: exposure["name"]):
        reader = _Reader(exposure, content.get("nodes", {}), domains, try_out)
        declaration = reader.read()
        problems.extend(reader.problems)
        if declaration is not None:
            declarations[declaration.name] = declaration
    if problems:
        raise DeclarationError(problems)
    return declarations


class _Reader:
    """Reads one exposure and collects what is wrong with it."""

    def __init__(
        self,
        exposure: Mapping[str, Any],
        nodes: Mapping[str, Any],
        domains: Mapping[str, Domain],
        try_out: TryOut | None,
    ) -> None:
        self.try_out = try_out
        self.domains = domains
        self.exposure = exposure
        self.nodes = nodes
        self.file = exposure.get("original_file_path") or exposure["name"]
        self.problems: list[str] = []

    def report(self, place: str, words: str) -> None:
        self.problems.append(f"{self.file}: {self.exposure['name']}: {place}: {words}")

    def report_ml(self, place: str, words: str) -> None:
        self.report(f"config.meta.ml.{place}".rstrip("."), words)

    def read(self) -> ModelDeclaration | None:
        owner = self._owner()
        table, roles, types = self._training_set()
        block = self._block()
        if block is not None:
            self._check_alone(block)
        if block is None or table is None:
            return None
        columns = {role: tuple(name for name, known in roles.items() if known == role) for role in ROLES}
        decision_at = self._one_column(table, columns, "decision_at", "the moment of the decision")
        label_known_at = self._one_column(
            table,
            columns,
            "label_known_at",
            "the moment at which the label became known; without it nothing can be trained honestly",
        )
        if not columns["entity"]:
            self.report(
                "depends_on", f"no column of {table} has config.meta.role: entity; mark what identifies a decision"
            )
        self._check_entity(table, columns["entity"], types)
        self._check_label(block, table, columns["label"], types)
        features = self._features(block, table, columns, types)
        self._check_named_columns(block, table, types, {*columns["label"], *columns["label_known_at"]})
        if self.problems or owner is None or decision_at is None or label_known_at is None:
            return None
        declaration = ModelDeclaration(
            name=self.exposure["name"],
            title=self.exposure.get("label") or self.exposure["name"],
            description=(self.exposure.get("description") or "").strip(),
            owner=owner,
            file=self.file,
            task=block.task,
            training_set=table,
            entity=columns["entity"],
            decision_at=decision_at,
            label=block.label,
            label_known_at=label_known_at,
            features=features,
            estimator=block.estimator,
            params=block.params,
            baselines=_named_baselines(block),
            evaluation=block.evaluation,
            gates=block.gates,
            retraining=block.retraining,
            service=block.service,
            spine=self._spine(columns["entity"], decision_at),
            domain=self._domain(owner),
            trusted=block.trusted,
        )
        for place, words in self.try_out(declaration) if self.try_out else ():
            self.report_ml(place, words)
        return None if self.problems else declaration

    def _domain(self, owner: Owner) -> Domain:
        """The declared domain that the exposure stands in; one of the usual cadence, where none is declared."""
        name = domain_of(self.exposure)
        return self.domains.get(name) or Domain(name, owner)

    def _owner(self) -> Owner | None:
        owner = self.exposure.get("owner") or {}
        if not owner.get("name") or not owner.get("email"):
            self.report("owner", f"found {owner!r}; give a name and an email: somebody must answer for the model")
            return None
        email = owner["email"]
        return Owner(owner["name"], email if isinstance(email, str) else ", ".join(email))

    def _training_set(self) -> tuple[str | None, dict[str, str | None], dict[str, str]]:
        names = (self.exposure.get("depends_on") or {}).get("nodes") or []
        models = [self.nodes[name] for name in names if name.startswith("model.") and name in self.nodes]
        if len(models) != 1:
            found = ", ".join(names) or "nothing"
            self.report(
                "depends_on", f"found {found}; name exactly one model, the training set: depends_on: [ref('trn_...')]"
            )
            return None, {}, {}
        table = models[0]["name"]
        roles: dict[str, str | None] = {}
        types: dict[str, str] = {}
        for name, column in models[0].get("columns", {}).items():
            role = _meta(column).get("role")
            if role is not None and role not in ROLES:
                self.report(
                    "depends_on",
                    f"column {name!r} of {table} has role {role!r}; use one of "
                    f"{', '.join(ROLES)}{did_you_mean(str(role), ROLES)}",
                )
                role = None
            roles[name] = role
            types[name] = str(column.get("data_type") or "").lower().split("(")[0].strip()
        return table, roles, types

    def _spine(self, entity: tuple[str, ...], decision_at: str) -> str | None:
        """The published table of decisions that the training set names in `config.meta.spine`, if it names one."""
        names = (self.exposure.get("depends_on") or {}).get("nodes") or []
        spine = next((_meta(self.nodes[name]).get("spine") for name in names if name in self.nodes), None)
        if spine is None:
            return None
        models = {node["name"]: node for name, node in self.nodes.items() if name.startswith("model.")}
        if spine not in models:
            self.report("depends_on", f"its training set has config.meta.spine: {spine}, which is no model")
            return None
        missing = [name for name in (*entity, decision_at) if name not in models[spine].get("columns", {})]
        if missing:
            self.report("depends_on", f"the spine {spine} has no column {', '.join(missing)}; declare it there")
        return str(spine)

    def _block(self) -> MlBlock | None:
        found = _meta(self.exposure).get("ml")
        if found is None:
            self.report(
                "config.meta.ml",
                "is missing; an exposure of type ml says there how its model lives (task, label, estimator, "
                "evaluation, ...)",
            )
            return None
        block, problems = parse_block(found)
        for place, words in problems:
            self.report_ml(place, words)
        return block

    def _check_alone(self, block: MlBlock) -> None:
        metric = block.evaluation.metric
        known = metrics_of(block.task)
        if metric not in known:
            other = f", a metric of another task than {block.task}" if metric in METRICS else ""
            self.report_ml(
                "evaluation.metric",
                f"found {metric!r}{other}; use one of {', '.join(known)}{did_you_mean(metric, known)}",
            )
        self._check_estimator("estimator", block.estimator, block.task)
        if block.service.max_missing is not None and block.service.fallback == "none":
            self.report_ml(
                "service.max_missing",
                f"found {block.service.max_missing}, and no fallback that could answer such a row; "
                "say fallback: baseline, or take it out",
            )
        for position, baseline in enumerate(block.evaluation.baselines or ()):
            self._check_estimator(f"evaluation.baselines.{position}.estimator", baseline.estimator, block.task)

    def _check_estimator(self, place: str, found: str, task: Task) -> None:
        if found in SHIPPED_ESTIMATORS:
            if task not in SHIPPED_ESTIMATORS[found]:
                fitting = ", ".join(name for name, tasks in SHIPPED_ESTIMATORS.items() if task in tasks)
                self.report_ml(place, f"found {found!r}, which is not for {task}; use one of {fitting}")
            return
        if not found.partition(":")[2]:
            shipped = ", ".join(SHIPPED_ESTIMATORS)
            self.report_ml(
                place,
                f"found {found!r}; use one of {shipped}, or "
                f"package.module:factory{did_you_mean(found, SHIPPED_ESTIMATORS)}",
            )
            return
        try:
            factory_of(found)
        except ValueError as error:
            self.report_ml(place, f"found {found!r}, which {error}")

    def _one_column(self, table: str, columns: Mapping[str, tuple[str, ...]], role: str, meaning: str) -> str | None:
        found = columns[role]
        if len(found) == 1:
            return found[0]
        state = "no column" if not found else f"{len(found)} columns ({', '.join(found)})"
        self.report("depends_on", f"{state} of {table} with config.meta.role: {role}; mark exactly one, {meaning}")
        return None

    def _check_entity(self, table: str, entity: tuple[str, ...], types: Mapping[str, str]) -> None:
        for name in entity:
            if types[name] not in ENTITY_TYPES:
                self.report(
                    "depends_on",
                    f"entity column {name!r} of {table} has data_type {types[name] or 'unknown'}, which identifies no "
                    "decision; cast it to an integer, a decimal, a text, a date or a timestamp",
                )

    def _check_label(self, block: MlBlock, table: str, labels: tuple[str, ...], types: Mapping[str, str]) -> None:
        labels_in_words = ", ".join(labels) or "none is marked with config.meta.role: label"
        if block.label not in types:
            self.report_ml(
                "label",
                f"found {block.label!r}, which is not a column of {table} (columns: {', '.join(types)}); use one of "
                f"its label columns: {labels_in_words}",
            )
            return
        if block.label not in labels:
            self.report_ml(
                "label",
                f"found {block.label!r}, a column of {table} without config.meta.role: label; mark it, or use one of "
                f"its label columns: {labels_in_words}",
            )
        found = types[block.label]
        if found not in _NUMBER_TYPES or (block.task == "regression" and found in _BOOLEAN_TYPES):
            wanted = "a boolean or a number" if block.task == "binary_classification" else "a number"
            self.report_ml(
                "label", f"found {block.label!r} of data_type {found or 'unknown'}; {block.task} needs {wanted}"
            )

    def _features(
        self, block: MlBlock, table: str, columns: Mapping[str, tuple[str, ...]], types: Mapping[str, str]
    ) -> tuple[Feature, ...]:
        choice: FeatureChoice = block.features
        for key, names in (("include", choice.include or ()), ("exclude", choice.exclude)):
            for name in names:
                if name in columns["label"] or name in columns["label_known_at"]:
                    self.report_ml(
                        f"features.{key}", f"found {name!r}, the label or its time: it is never a feature; take it out"
                    )
                elif name not in columns["feature"]:
                    self.report_ml(
                        f"features.{key}",
                        f"found {name!r}, which is not a feature column of "
                        f"{table}{did_you_mean(name, columns['feature'])}",
                    )
        chosen = [
            name
            for name in columns["feature"]
            if (choice.include is None or name in choice.include) and name not in choice.exclude
        ]
        if not chosen:
            self.report_ml(
                "features",
                f"no feature is left; {table} has {len(columns['feature'])} columns with config.meta.role: feature",
            )
        features = []
        for name in chosen:
            kind: FeatureKind = "categorical" if types[name] in _TEXT_TYPES else "numeric"
            if kind == "numeric" and types[name] not in _NUMBER_TYPES:
                self.report(
                    "depends_on",
                    f"feature {name!r} of {table} has data_type {types[name] or 'unknown'}; a feature is text, a "
                    "boolean or a number",
                )
            features.append(Feature(name, kind, types[name]))
        return tuple(features)

    def _check_named_columns(self, block: MlBlock, table: str, types: Mapping[str, str], outcome: set[str]) -> None:
        for name in block.evaluation.slices:
            if name not in types:
                self.report_ml(
                    "evaluation.slices", f"found {name!r}, which is not a column of {table}{did_you_mean(name, types)}"
                )
        places = [("params", block.estimator, block.params)]
        places += [
            (f"evaluation.baselines.{at}.params", one.estimator, one.params)
            for at, one in enumerate(block.evaluation.baselines or ())
        ]
        for place, estimator, params in places:
            if estimator not in BASELINES:
                continue
            if estimator == "baseline_rates" and (not isinstance(params.get("by"), list) or not params["by"]):
                self.report_ml(f"{place}.by", f"found {params.get('by')!r}; baseline_rates needs a list of columns")
                continue
            if estimator in NEEDS_COLUMN and not isinstance(params.get("column"), str):
                self.report_ml(f"{place}.column", f"found {params.get('column')!r}; {estimator} needs a column's name")
                continue
            key = f"{place}.{'column' if estimator in NEEDS_COLUMN else 'by'}"
            for name in columns_named(estimator, params):
                if name in outcome:
                    self.report_ml(key, f"found {name!r}, the label or its time: a baseline may not see it either")
                elif name not in types:
                    self.report_ml(key, f"found {name!r}, which is not a column of {table}{did_you_mean(name, types)}")
                elif estimator in NEEDS_COLUMN and types[name] not in _NUMBER_TYPES:
                    self.report_ml(
                        key, f"found {name!r} of data_type {types[name] or 'unknown'}; {estimator} needs a number"
                    )


def _named_baselines(block: MlBlock) -> tuple[Baseline, ...]:
    """The declared baselines, each with a name; where none is declared, a constant and the rates by the slices."""
    declared = block.evaluation.baselines
    if declared is None:
        by_slices = (
            (Baseline(estimator="baseline_rates", params={"by": list(block.evaluation.slices)}),)
            if block.evaluation.slices
            else ()
        )
        declared = (Baseline(estimator="baseline_constant"), *by_slices)
    return tuple(
        baseline.model_copy(update={"name": baseline.name or _baseline_name(baseline)}) for baseline in declared
    )


def _baseline_name(baseline: Baseline) -> str:
    words = [baseline.estimator.replace(":", ".")]
    if "by" in baseline.params:
        words += ["by", *columns_named(baseline.estimator, baseline.params)]
    elif "column" in baseline.params:
        words += columns_named(baseline.estimator, baseline.params)
    if baseline.params.get("factor", 1) != 1:
        words += ["times", f"{baseline.params['factor']:g}"]
    return "_".join(words)


def _meta(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**(holder.get("meta") or {}), **((holder.get("config") or {}).get("meta") or {})}
