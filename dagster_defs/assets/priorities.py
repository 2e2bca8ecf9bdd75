"""Who goes first where runs wait in the queue: scoring, then training, then whatever is asked for in bulk.

What belongs here: every `dagster/priority` there is. What does not: concurrency; the pools say who excludes whom.

Higher goes first, and runs of the same priority in the order in which they were asked for. A run without the tag, such
as single assets that a person materialises in the UI, counts as 0 and goes last. A run that has started is not stopped.
"""

from __future__ import annotations

SCORING_PRIORITY = "10"
TRAINING_PRIORITY = "5"
BACKFILL_PRIORITY = "1"
# On every run: who or what asked for it, in words.
ASKED_BY_TAG = "perennial/asked_by"


def priority_tags(priority: str) -> dict[str, str]:
    """The tags of a run, job or op with this priority."""
    return {"dagster/priority": priority}
