"""Declared signals that can never fire: what a declaration asks for and cannot happen on the domain's cadence.

What belongs here: those contradictions, each as a sentence for `perennial status`. What does not: mistakes that no
cadence explains (`declaration/`), the signals themselves, counting how decisions come (`observing/cadence.py`).

A champion that a better candidate replaces before its watch can conclude is no contradiction: the watch is for one that
stays, and every candidate passes gates of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.measuring.windows import LONGEST
from ml_assets.moments import words_of

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Cadence:
    """How a model's decisions have come so far; None is what cannot be told yet.

    `in_a_window` are the most in a whole window of the domain; `in_the_watch` the most within the span of the watch, on
    at most `days_in_the_watch` days; `outcome_delay` is how long outcomes usually take to become known.
    """

    in_a_window: int | None = None
    in_the_watch: int | None = None
    days_in_the_watch: int | None = None
    outcome_delay: timedelta = timedelta(0)


def signals_that_cannot_fire(declaration: ModelDeclaration, cadence: Cadence | None = None) -> list[str]:
    """One sentence for each, naming the key and the remedy; none if all can fire.

    Args:
        cadence: how decisions come, if there are any.
    """
    seen = cadence or Cadence()
    return [*_of_the_watch(declaration, seen), *_of_the_windows(declaration, seen), *_of_the_age(declaration)]


def _of_the_watch(declaration: ModelDeclaration, cadence: Cadence) -> Iterator[str]:
    watch = declaration.retraining.watch
    if watch is None:
        return
    days, decisions = cadence.days_in_the_watch, cadence.in_the_watch
    if watch.span < watch.least_days * _DAY:
        yield (
            f"retraining.watch: a span of {words_of(watch.span)} never holds the {watch.least_days} complete days that "
            "are needed, so no champion is ever taken back; declare a longer span."
        )
    elif days is not None and days < watch.least_days:
        yield (
            f"retraining.watch: {words_of(watch.span)} have held decisions on no more than {days} days so far, and "
            f"{watch.least_days} complete days are needed, so no champion is ever taken back; declare a longer span."
        )
    elif decisions is not None and decisions < watch.min_rows:
        yield (
            f"retraining.watch: {words_of(watch.span)} have held no more than {decisions:,} decisions so far, and "
            f"{watch.min_rows:,} are needed, so no champion is ever taken back; declare a longer span or fewer "
            "min_rows."
        )


def _of_the_windows(declaration: ModelDeclaration, cadence: Cadence) -> Iterator[str]:
    policy, domain = declaration.retraining, declaration.domain
    most = cadence.in_a_window
    asked = (
        ("drift", policy.drift, timedelta(0), domain.least_decisions, "least_decisions"),
        ("performance", policy.performance, cadence.outcome_delay, domain.least_outcomes, "least_outcomes"),
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
