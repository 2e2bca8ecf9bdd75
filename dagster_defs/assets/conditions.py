"""Automation conditions of a model's assets: which answer of a check requests what.

What belongs here: the conditions. What does not: the questions (`checks.py`), the sensor that evaluates the conditions
(`automation/lifecycle.py`).

    check `needs_no_retraining` of <model>/candidate fails  -> candidate, evaluation and champion are requested
    check `better_than_predecessor` of <model>/champion fails -> champion is requested, and goes back to its predecessor
    check `no_challenger_waits` of <model>/champion fails -> champion is requested, and decides on the one in shadow

The checks hold the decisions and their reasons, and the conditions carry them, so the UI shows why a run was requested.
"""

from typing import Any

import dagster as dg

_Condition: Any = dg.AutomationCondition  # its overloads say less than it can do
_CHECK_SAYS_NO = _Condition.any_checks_match(_Condition.check_failed() & _Condition.newly_updated()).with_label(
    "a check has just failed"
)


def _asked_by_check() -> Any:
    """True from the moment a check of the asset fails until the asset has been asked for or a check passes again."""
    return (
        _CHECK_SAYS_NO.since_last_handled()
        & _Condition.any_checks_match(_Condition.check_failed())
        & ~_Condition.in_progress()
    )


def candidate_condition() -> dg.AutomationCondition[Any]:
    """When retraining is due, or the wall clock calls the candidate late."""
    late = _Condition.freshness_failed().newly_true().since_last_handled()
    return (_asked_by_check().with_label("retraining is due") | (late & ~_Condition.in_progress())).with_label(
        "retraining is due, or the candidate is late"
    )


def following_condition() -> dg.AutomationCondition[Any]:
    """Whenever what it stands on was made anew."""
    return dg.AutomationCondition.eager()


def champion_condition() -> dg.AutomationCondition[Any]:
    """Whenever there is a new evaluation, the champion is worse than its predecessor, or a challenger waits."""
    return (dg.AutomationCondition.eager() | _asked_by_check()).with_label(
        "a candidate was judged, the champion does worse than its predecessor, or a challenger has served its time"
    )
