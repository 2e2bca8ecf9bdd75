"""The sensor that evaluates the conditions of the models' assets.

What belongs here: how often it looks. What does not: the conditions (`assets/conditions.py`).
"""

from collections.abc import Sequence

import dagster as dg

from dagster_defs.assets.priorities import ASKED_BY_TAG, TRAINING_PRIORITY, priority_tags

CONDITIONS_SECONDS = 15


def build_automation_sensor(models: Sequence[str]) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions; on from the start."""
    steps = ("candidate", "evaluation", "champion")
    return dg.AutomationConditionSensorDefinition(
        name="lifecycle",
        target=dg.AssetSelection.assets(*[[model, step] for model in models for step in steps]),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=CONDITIONS_SECONDS,
        run_tags={
            **priority_tags(TRAINING_PRIORITY),
            ASKED_BY_TAG: "a check of the model that said no, or a late candidate",
        },
        description="Retrains when a model's own checks ask for it, and takes a champion back that does worse.",
    )
