"""Figures in words: what each metric is called, what it means, and with how many digits it is written.

What belongs here: words and digits that every page and command shares. What does not: formulas (`metrics.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10

from ml_assets.measuring.metrics import METRICS, PINBALL_QUANTILE

# A column says its unit as its name's last word.
UNITS = ("seconds", "minutes", "hours", "days", "metres", "kilometres", "miles", "dollars", "euros", "percent")
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Wording:
    """A metric's plain name, one sentence on how to read it, and whether it is in the label's unit."""

    name: str
    meaning: str
    is_in_unit: bool = False


WORDING: Mapping[str, Wording] = {
    "roc_auc": Wording("ROC AUC", "the share of pairs, one that came true and one that did not, that are ranked right"),
    "pr_auc": Wording("average precision", "the precision over all thresholds, weighted by the recall gained at each"),
    "brier": Wording("Brier score", "the mean square of the distance between a probability and what came of it"),
    "log_loss": Wording("log loss", "0 would be sure and right every time; to be sure and wrong costs most"),
    "calibration_error": Wording(
        "calibration error", "how far probabilities lie from what came of them; 0.02 is two percentage points"
    ),
    "mae": Wording("mean absolute error", "how far an answer lies from what came of it, on average", True),
    "rmse": Wording("root mean square error", "how far answers lie from what came of them, large misses first", True),
    "pinball": Wording(
        "pinball loss",
        f"how far answers lie from what came of them, an answer too low costing {PINBALL_QUANTILE:g} of the distance "
        f"and one too high {1 - PINBALL_QUANTILE:g}",
        True,
    ),
}


def unit_of(label: str) -> str | None:
    """The unit that a label's name ends in; None if it names none.

    >>> unit_of("waiting_minutes"), unit_of("stock_next_28d")
    ('minutes', None)
    """
    last = label.rpartition("_")[2]
    return last if last in UNITS else None


def how_to_read(metric: str, label: str) -> str:
    """Name, unit, direction and meaning of a metric, as a sentence.

    >>> how_to_read("mae", "delay_minutes")
    'Mean absolute error, in minutes: how far an answer lies from what came of it, on average. Lower is better.'
    """
    words = WORDING[metric]
    unit = f"in {unit_of(label) or f'the unit of {label}'}" if words.is_in_unit else "without a unit"
    better = "Higher" if METRICS[metric].higher_is_better else "Lower"
    return f"{words.name[0].upper()}{words.name[1:]}, {unit}: {words.meaning}. {better} is better."


def decimals_of(value: float) -> int:
    """How many decimals show a figure to four digits.

    >>> [decimals_of(value) for value in (0.4642, 21.27, 145.2, 12345.0)]
    [4, 2, 1, 0]
    """
    return _decimals(value, 4)


def decimals_of_span(low: float, high: float) -> int:
    """How many decimals show an interval's width to two digits: more would be noise.

    >>> decimals_of_span(0.0105, 0.0148), decimals_of_span(-3.0, 12.0)
    (4, 0)
    """
    return _decimals(high - low, 2)


def _decimals(value: float, digits: int) -> int:
    if not isfinite(value) or value == 0:
        return digits
    return min(max(0, digits - 1 - floor(log10(abs(value)))), _MOST_DECIMALS)
