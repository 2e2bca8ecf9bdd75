"""Which version answers in shadow beside the champion, told from the decision log.

What belongs here: who is in shadow. What does not: its answers and what they show (`observing/shadow.py`), the gate
(`promotion.py`).

It is the version that was last sent there, until it is decided on or another takes its place. A newer candidate that is
rejected takes nobody's place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ml_assets.deciding.log import DecisionLog, LoggedDecision
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.registry.versions import Version

if TYPE_CHECKING:  # the log alone tells who is in shadow; the registry's import takes seconds
    from ml_assets.registry.registry import Registry


def line_in_shadow(log: Iterable[LoggedDecision], model: str) -> LoggedDecision | None:
    """The line that sent the model's present challenger into shadow; None if it was decided on since."""
    standing = None
    for one in log:
        if (one.model, one.kind) != (model, "promotion"):
            continue
        if one.verdict == "in_shadow":
            standing = one
        elif one.verdict == "promoted" or (standing and standing.version == one.version):
            standing = None
    return standing


def challenger_in_shadow(registry: Registry, log: DecisionLog, declaration: ModelDeclaration) -> Version | None:
    """The version that answers beside the champion now; None if there is none."""
    line = line_in_shadow(log.read(), declaration.name) if declaration.gates.shadow else None
    if line is None or line.version is None:
        return None
    champion = registry.champion(declaration.name)
    if champion is None or champion.version == line.version:
        return None
    challenger = registry.get(declaration.name, line.version)
    return None if challenger.rolled_back else challenger
