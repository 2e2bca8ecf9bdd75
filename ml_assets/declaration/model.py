"""What a model is, once its declaration was read and found sound: frozen values and their fingerprints.

What belongs here: the declaration's form. What does not: reading and checking one (`declaration.py`), doing anything
with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ml_assets.declaration.domains import UNNAMED, Domain
from ml_assets.declaration.schema import Baseline, Evaluation, Gates, Owner, Retraining, Service, Task, Windows
from ml_assets.moments import CalendarSpan, text_of

FeatureKind = Literal["categorical", "numeric"]

SHIPPED_ESTIMATORS: Mapping[str, tuple[Task, ...]] = {
    "gradient_boosting": ("binary_classification", "regression"),
    "logistic": ("binary_classification",),
    "linear": ("regression",),
    "baseline_rates": ("binary_classification", "regression"),
    "baseline_constant": ("binary_classification", "regression"),
    "baseline_column": ("binary_classification", "regression"),
    "last_value": ("regression",),
}
BASELINES = ("baseline_constant", "baseline_rates", "baseline_column", "last_value")
NEEDS_COLUMN = ("baseline_column", "last_value")


def columns_named(estimator: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of the training set that an estimator's parameters name: those of a baseline, in `by` (a list) or
    `column`; whatever the parameters of another are called, they name none.

    >>> columns_named("baseline_rates", {"by": ["region", "channel"]}), columns_named("last_value", {"column": "spend"})
    (('region', 'channel'), ('spend',))
    """
    if estimator not in BASELINES:
        return ()
    by = params.get("by") or ()
    names = [by] if isinstance(by, str) else list(by)
    if params.get("column"):
        names.append(params["column"])
    return tuple(str(name) for name in names)


@dataclass(frozen=True)
class Feature:
    """One input: text columns are categorical, booleans and numbers are numeric."""

    name: str
    kind: FeatureKind
    data_type: str


@dataclass(frozen=True)
class ModelDeclaration:
    """One declared model. `file` is the YAML that declares it, from the dbt project's folder; `spine` the
    published table of due decisions alone, from which a fallback answers while the training set cannot be trusted;
    `trusted` the types, beyond the usual ones, that the model's files may hold.
    """

    name: str
    title: str
    description: str
    owner: Owner
    file: str
    task: Task
    training_set: str
    entity: tuple[str, ...]
    decision_at: str
    label: str
    label_known_at: str
    features: tuple[Feature, ...]
    estimator: str
    params: Mapping[str, Any]
    baselines: tuple[Baseline, ...]
    evaluation: Evaluation
    gates: Gates
    retraining: Retraining
    service: Service
    spine: str | None = None
    domain: Domain = UNNAMED
    trusted: tuple[str, ...] = ()

    @property
    def numeric_features(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if feature.kind == "numeric")

    @property
    def categorical_features(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if feature.kind == "categorical")

    @property
    def schema(self) -> tuple[tuple[str, FeatureKind], ...]:
        """What a fitted model expects of its input, in order."""
        return tuple((feature.name, feature.kind) for feature in self.features)

    def recipe(self) -> dict[str, Any]:
        """The parts that decide the fitted model; gates, slices, owners and promises are not among them."""
        return {
            "task": self.task,
            "training_set": self.training_set,
            "entity": list(self.entity),
            "decision_at": self.decision_at,
            "label": self.label,
            "label_known_at": self.label_known_at,
            "features": [[feature.name, feature.kind, feature.data_type] for feature in self.features],
            "estimator": self.estimator,
            "params": dict(self.params),
            "metric": self.evaluation.metric,
        }

    @property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON of `recipe()`."""
        return _sha256(self.recipe())

    @property
    def whole_fingerprint(self) -> str:
        """sha256 of the canonical JSON of everything declared."""
        return _sha256(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The declaration as plain JSON values."""
        return {
            **self.recipe(),
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "owner": asdict(self.owner),
            "file": self.file,
            "baselines": [baseline.model_dump() for baseline in self.baselines],
            "evaluation": _plain(self.evaluation.model_dump(exclude={"baselines"})),
            "gates": _plain(self.gates.model_dump(exclude=None if self.gates.shadow else {"shadow"})),
            "retraining": _plain(self.retraining.model_dump()),
            "service": _plain(self.service.model_dump()),
            **({"trusted": list(self.trusted)} if self.trusted else {}),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, CalendarSpan):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, Windows):
        return f"{value.needed} of {value.of}"
    return value


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
