"""The promise that what lands is answered: noted when predictions are made, looked for while they are not.

What belongs here: asking for what the promise needs. What does not: how long a landing waits
(`ml_assets.observing.predictions_due`), telling on time (`automation/lateness.py`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from dagster_defs.landing_folder import landing_times
from dagster_defs.resources import Home
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.moments import words_of

DUE = "due/"


def answer_landing(home: Home, declaration: ModelDeclaration, table: str) -> timedelta | None:
    """Notes that predictions were made from the table, and tells if they had been due before.

    Returns how long the first file had waited that is answered by them; None if nothing new had landed.
    """
    model, due, now = declaration.name, declaration.service.predictions_due, home.now()
    waited = home.due.note_answer(model, table, landing_times(home.landing), now)
    is_told = any(key.startswith(DUE) for key in home.alerts.open_incidents())
    if waited is not None and due is not None and waited > due and not is_told:
        title, text = tell_overdue([declaration], now - waited, now)
        home.alerts.open(f"{DUE}{model}", title, text, now=now)
        home.alerts.close(f"{DUE}{model}", f"They stood {words_of(waited)} after the landing.", now=now)
    return waited


def find_overdue(
    home: Home, declarations: Iterable[ModelDeclaration], now: datetime
) -> dict[datetime, list[ModelDeclaration]]:
    """The models whose promise is broken now, by the landing that waits: those of one landing are one incident."""
    landed = landing_times(home.landing)
    overdue: dict[datetime, list[ModelDeclaration]] = {}
    for declaration in declarations:
        due = declaration.service.predictions_due
        since = home.due.waiting_since(declaration.name, landed)
        if due is not None and since is not None and now - since > due:
            overdue.setdefault(since, []).append(declaration)
    return overdue


def tell_overdue(models: Sequence[ModelDeclaration], since: datetime, now: datetime) -> tuple[str, str]:
    """Title and text of the alert."""
    promised = "; ".join(
        f"{words_of(one.service.predictions_due)} are promised (service.predictions_due in {one.file})"
        for one in models
        if one.service.predictions_due
    )
    return (
        f"predictions overdue: {', '.join(one.name for one in models)}",
        f"What landed at {since:%Y-%m-%d %H:%M} UTC had no predictions {words_of(now - since)} later; {promised}.",
    )
