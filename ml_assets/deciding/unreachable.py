"""Declared signals that can never fire: what a declaration asks for and cannot happen on the domain's cadence.

What belongs here: those contradictions, each as a sentence for `perennial status`. What does not: mistakes that no
cadence explains (`declaration/`), the signals themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ml_assets.deciding.retraining import HealthEvidence
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.measuring.windows import LONGEST
from ml_assets.moments import words_of

_DAY = timedelta(days=1)


def signals_that_cannot_fire(declaration: ModelDeclaration, health: HealthEvidence | None = None) -> list[str]:
    """One sentence for each, naming the key and the remedy; none if all can fire.

    Args:
        health: how the champion does, if there is one: how many decisions a window has, and how long outcomes take.
    """
    return [*_of_the_watch(declaration, health), *_of_the_windows(declaration, health), *_of_the_age(declaration)]


def _of_the_watch(declaration: ModelDeclaration, health: HealthEvidence | None) -> Iterator[str]:
    watch = declaration.retraining.watch
    if watch is None:
        return
    if watch.span < watch.least_days * _DAY:
        yield (
            f"retraining.watch: a span of {words_of(watch.span)} never holds the {watch.least_days} complete days that "
            "are needed, so no champion is ever taken back; declare a longer span."
        )
        return
    most = _most_decisions(health)
    if most is None:
        return
    window = LONGEST[declaration.domain.window]
    in_span = round(most * max(watch.span / window, 1.0))
    if in_span < watch.min_rows:
        yield (
            f"retraining.watch: {words_of(watch.span)} have hardly held more than {in_span:,} decisions so far, and "
            f"{watch.min_rows:,} are needed, so no champion is ever taken back; declare a longer span or fewer "
            "min_rows."
        )


def _of_the_windows(declaration: ModelDeclaration, health: HealthEvidence | None) -> Iterator[str]:
    policy, domain = declaration.retraining, declaration.domain
    delay = health.outcome_delay if health else timedelta(0)
    most = _most_decisions(health)
    asked = (
        ("drift", policy.drift, timedelta(0), domain.least_decisions, "least_decisions"),
        ("performance", policy.performance, delay, domain.least_outcomes, "least_outcomes"),
    )
    for name, signal, waits, least, key in asked:
        if signal is None:
            continue
        lives, needed = _life(declaration), signal.windows.needed
        takes = (needed - 1) * LONGEST[domain.window] + waits
        if lives is not None and lives <= takes:
            yield (
                f"retraining.{name}: {needed} windows of a {domain.window} are needed, and a champion is replaced "
                f"after {words_of(lives)}, before it has so many that can be judged; declare shorter windows for "
                "the domain, fewer of them, or a longer retraining.max_label_age."
            )
        elif most is not None and most < least:
            yield (
                f"retraining.{name}: no {domain.window} has had the {least:,} that the domain's {key} asks for (the "
                f"most were {most:,} decisions); declare longer windows for the domain or a lower {key}."
            )


def _of_the_age(declaration: ModelDeclaration) -> Iterator[str]:
    limit, cooldown = declaration.retraining.max_label_age, declaration.retraining.cooldown
    if limit is not None and cooldown is not None and limit < cooldown:
        yield (
            f"retraining.max_label_age: {words_of(limit)} pass before the cooldown of {words_of(cooldown)} does, which "
            "alone decides when the next training is; declare a longer max_label_age or a shorter cooldown."
        )


def _life(declaration: ModelDeclaration) -> timedelta | None:
    """How long a champion serves at most where all goes well, if the declaration says so."""
    limit, cooldown = declaration.retraining.max_label_age, declaration.retraining.cooldown
    return None if limit is None else max(limit, cooldown or limit)


def _most_decisions(health: HealthEvidence | None) -> int | None:
    """Of the champion's whole windows but the first, which it may have shared; None if there are not two yet."""
    counts = [window.decisions for window in health.windows[1:]] if health else []
    return max(counts) if counts else None
