"""How much a model relies on each feature: what it loses when the feature is shuffled.

What belongs here: permutation importance (Breiman, Random Forests, 2001). What does not: what follows from it
(`observing/health.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.fitting.estimators import predict
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.measuring.metrics import METRICS, measure

SAMPLE_ROWS = 3_000
SEED = 20130101


def reliance(model: Any, rows: DecisionRows, declaration: ModelDeclaration) -> dict[str, float]:
    """By feature: how much worse the declared metric becomes when the feature's values change places at random.

    Measured on at most `SAMPLE_ROWS` of the rows, which the model must not have learned from. In the metric's own unit,
    never below 0. Features that tell the same story share it: each may then come out as little needed.
    """
    chance = np.random.default_rng(SEED)
    if len(rows) > SAMPLE_ROWS:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[chance.choice(len(rows), SAMPLE_ROWS, replace=False)] = True
        rows = rows.where(chosen)
    metric = METRICS[declaration.evaluation.metric]
    order = pa.array(chance.permutation(len(rows)))
    whole = measure(metric.name, rows.label, predict(model, rows.inputs, declaration.task))
    losses = {}
    for feature in declaration.features:
        place = rows.inputs.schema.get_field_index(feature.name)
        shuffled = rows.inputs.set_column(place, feature.name, rows.inputs[feature.name].take(order))
        figure = measure(metric.name, rows.label, predict(model, shuffled, declaration.task))
        losses[feature.name] = max(0.0, float(metric.worse_by(figure, whole)))
    return losses
