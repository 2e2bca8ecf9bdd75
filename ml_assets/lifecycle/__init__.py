"""The verbs of a model's life, for whoever drives it: Dagster, the command line, a notebook.

What belongs here: thin composition; each verb may be repeated and then does nothing twice. What does not: how a thing
is done; that is in the rooms below. A verb opens the published state once and holds it. `now` is a callable that tells
the time and is asked only for what is written to the log, and for latency where a limit on it is declared.
"""

from ml_assets.answering.scoring import ScoringReport, score_due, score_from_spine, score_past
from ml_assets.deciding.shadow import challenger_in_shadow
from ml_assets.lifecycle.candidates import (
    TRAINING_COST,
    CandidateResult,
    evaluate_candidate,
    make_candidate,
    run_backtest,
    watermark,
    why_not_yet,
)
from ml_assets.lifecycle.champions import (
    PromotionResult,
    RollbackResult,
    decide_and_promote,
    decide_on_champion,
    decide_on_shadow,
    rollback,
    watch_champion,
    with_shadow,
)
from ml_assets.lifecycle.retraining import RetrainingResult, decide_on_retraining
from ml_assets.observing.shadow import ShadowReport, score_in_shadow

__all__ = [
    "TRAINING_COST",
    "CandidateResult",
    "PromotionResult",
    "RetrainingResult",
    "RollbackResult",
    "ScoringReport",
    "ShadowReport",
    "challenger_in_shadow",
    "decide_and_promote",
    "decide_on_champion",
    "decide_on_retraining",
    "decide_on_shadow",
    "evaluate_candidate",
    "make_candidate",
    "rollback",
    "run_backtest",
    "score_due",
    "score_from_spine",
    "score_in_shadow",
    "score_past",
    "watch_champion",
    "watermark",
    "why_not_yet",
    "with_shadow",
]
