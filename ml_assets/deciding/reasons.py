"""One reason of a decision.

What belongs here: its shape, which all decisions share. What does not: any gate or signal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One gate's answer; `text` is for a person who does not know the gate."""

    gate: str
    passed: bool
    figure: float | None
    threshold: float | None
    text: str
