"""Why a model is what it is: a decision's record retold in plain words.

What belongs here: words for a person who reads no code, from what was logged and measured. What does not: any figure of
its own, or any judgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_assets.deciding.log import LoggedDecision
from ml_assets.deciding.shadow import line_in_shadow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.versions import Version

MOST_FEATURES = 5


def tell_version(
    lake: Lake, declaration: ModelDeclaration, version: Version, log: Sequence[LoggedDecision], champion: int | None
) -> str:
    """The story of one version: why it was trained, what it learned from, how it was judged, what became of it."""
    return "\n".join(_lines(lake, declaration, version, log, champion))


def _lines(
    lake: Lake, declaration: ModelDeclaration, version: Version, log: Sequence[LoggedDecision], champion: int | None
) -> Iterator[str]:
    mine = [one for one in log if one.model == version.model]
    challenger = line_in_shadow(mine, version.model) if declaration.gates.shadow else None
    in_shadow = challenger.version if challenger and challenger.version != champion else None
    state = "the champion: it predicts" if version.version == champion else "not the champion"
    if version.version == in_shadow:
        state = "in shadow: it answers beside the champion, and nobody acts on its answers"
    yield f"{declaration.title}, version {version.version} is {state}."
    yield ""
    yield "Why it was trained"
    yield from _asked_for(version, mine)
    yield ""
    yield "What it learned from"
    yield (
        f"  {version.training_rows:,} past decisions, their outcome known by {version.trained_through:%Y-%m-%d %H:%M} "
        "UTC; nothing that became known later."
    )
    relied = sorted(lake.read_reliance(version.model, version.version).items(), key=lambda pair: -pair[1])
    total = sum(value for _, value in relied)
    if total > 0:
        named = ", ".join(
            f"{_plain(name)} ({value / total:.0%})" for name, value in relied[:MOST_FEATURES] if value > 0
        )
        yield f"  It relies most on: {named}."
    yield ""
    yield "How it was judged"
    yield f"  On decisions from {version.window_start:%Y-%m-%d} to {version.as_of:%Y-%m-%d}, unseen by it."
    promotions = [one for one in mine if one.kind == "promotion" and one.version == version.version]
    for decision in promotions:
        yield from _judged(decision)
    if not promotions:
        yield "  No decision about it has been logged yet."
    yield ""
    yield "What became of it"
    yield from _fate(version, mine, champion)
    if challenger and in_shadow and version.version == champion:
        text = challenger.reasons[-1]["text"]
        yield f"  Version {in_shadow} is in shadow beside it, as of {_day(challenger)}: {text}"


def _asked_for(version: Version, log: Sequence[LoggedDecision]) -> Iterator[str]:
    """The retraining decision just before it, if one asked for it."""
    as_of = version.as_of.isoformat()[:16]
    asked = [one for one in log if one.kind == "retraining" and (one.as_of or "")[:16] == as_of]
    if not asked:
        yield "  A person or a job asked for it."
        return
    for reason in _failed(asked[-1].reasons):
        yield f"  {reason}"


def _judged(decision: LoggedDecision) -> Iterator[str]:
    if decision.verdict == "in_shadow":
        yield f"  As of {_day(decision)} every other gate held, and it went into shadow: {decision.reasons[-1]['text']}"
        return
    verdict = "It became champion" if decision.verdict == "promoted" else "It did not become champion"
    failed = _failed(decision.reasons)
    yield f"  {verdict}{', because:' if failed else '; every gate held:'}"
    for text in failed or [reason["text"] for reason in decision.reasons]:
        yield f"    - {text}"


def _fate(version: Version, log: Sequence[LoggedDecision], champion: int | None) -> Iterator[str]:
    told = False
    for one in log:
        if one.kind == "rollback" and one.previous_version == version.version:
            told = True
            yield f"  Taken back on {_day(one)}; version {one.version} is champion again: {one.reasons[0]['text']}"
        elif one.kind == "promotion" and one.verdict == "promoted" and one.previous_version == version.version:
            told = True
            yield f"  Version {one.version} took its place, as of {_day(one)}."
        elif one.kind == "retraining" and one.version == version.version and one.verdict == "held_back":
            told = True
            held = "; ".join(_failed(one.reasons))
            yield f"  As of {_day(one)} a retraining was due but held back: {held}"
    if version.version == champion:
        yield "  It predicts until a better founded version takes its place."
    elif any((one.kind, one.verdict, one.version) == ("promotion", "in_shadow", version.version) for one in log):
        if not told:
            yield "  It has only answered in shadow."
    elif not told:
        yield "  It has never predicted."


def _failed(reasons: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(reason["text"]) for reason in reasons if not reason["passed"]]


def _day(decision: LoggedDecision) -> str:
    return (decision.as_of or decision.decided_at)[:10]


def _plain(name: str) -> str:
    return name.replace("_", " ")
