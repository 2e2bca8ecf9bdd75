"""What stands on what and how late it may be, told from dbt's manifest and the ledger, without Dagster.

What belongs here: the graph of names as `perennial status` needs it, and when each was last made. What does not:
Dagster's own graph (`definitions.py`; a test holds the two to each other), what is one incident
(`ml_assets.observing.lateness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.declaration.domains import CORE, domain_of, is_landing
from ml_assets.observing.lateness import State

if TYPE_CHECKING:
    from ml_assets.declaration.model import ModelDeclaration
    from ml_assets.lake.ledger import Ledger

LAKE_SOURCE = "lake"  # of all models; `lake_<domain>` is what the models of one domain write
# Which asset of each model writes which table of the lake; None is written by everything that runs. dbt reads all of
# them after the last one, because each wait of its own would start dbt once more. A domain's tables wait for its own
# models alone.
LAST_STEP = "predictions"
LAKE_TABLES: dict[str, str | None] = {
    "predictions": "predictions",
    "evaluations": "evaluation",
    "reference_predictions": "evaluation",
    "decisions": "champion",
    "costs": None,
}
# The table that looks at every file which has landed.
DOOR = "stg_landing__files"
NAMED = 3


@dataclass(frozen=True)
class Levels:
    """The assets with a level, after how long each is late, and the assets that each asset stands on."""

    late_after: Mapping[str, timedelta]
    parents: Mapping[str, Sequence[str]]


def levels_declared(manifest: Mapping[str, Any], declarations: Mapping[str, ModelDeclaration]) -> Levels:
    """The levels of a dbt manifest's nodes and of the declared models.

    Raises:
        DeclarationError: with every mistake in the levels of tables.
    """
    from ml_assets.declaration.levels import read_levels

    names = dict(_names(manifest))
    late_after = {names[unique_id]: age for unique_id, age in read_levels(manifest).items() if unique_id in names}
    parents: dict[str, list[str]] = {}
    for unique_id, name in names.items():
        if unique_id in manifest["nodes"]:
            above = manifest["nodes"][unique_id].get("depends_on", {}).get("nodes", [])
            parents[name] = [one for node in above for one in _writers(node, names, declarations)]
            if (
                manifest["nodes"][unique_id]["resource_type"] == "seed"
                and domain_of(manifest["nodes"][unique_id]) != CORE
            ):
                parents[name].append(DOOR)
        else:
            parents[name] = []
    for name, declaration in declarations.items():
        steps = {step: f"{name}/{step}" for step in ("candidate", "evaluation", "champion", "predictions")}
        parents[steps["candidate"]] = [declaration.training_set]
        parents[steps["evaluation"]] = [steps["candidate"]]
        parents[steps["champion"]] = [steps["evaluation"]]
        parents[steps["predictions"]] = [steps["champion"], declaration.training_set]
        if declaration.retraining.max_label_age:
            late_after[steps["candidate"]] = declaration.retraining.max_label_age
        if declaration.service.late_after:
            late_after[steps["predictions"]] = declaration.service.late_after
    return Levels(late_after, parents)


def last_made(ledger: Ledger, assets: Iterable[str]) -> dict[str, datetime]:
    """When each of the assets was last made, whoever made it, from what it cost; those that never were are left out.

    The newest days are read first, and no more days than are needed.
    """
    wanted, made = set(assets), {}
    for costs in ledger.newest_first():
        for cost in costs:
            if cost.outcome == "success" and cost.asset in wanted:
                made[cost.asset] = max(cost.ended_at, made.get(cost.asset, cost.ended_at))
        if wanted <= made.keys():
            break
    return made


def states_now(levels: Levels, made: Mapping[str, datetime], now: datetime) -> dict[str, State]:
    """What Dagster's freshness daemon finds by the same rule, but all at one moment, and whether or not it is running.

    Its own records change one asset at a time, and between two of them one cause looks like several.
    """
    return {
        asset: "late" if now - moment >= levels.late_after[asset] else "on_time"
        for asset, moment in made.items()
        if asset in levels.late_after
    }


def name_lateness(first: Sequence[str], behind: Sequence[str]) -> str:
    """What is late, in a line."""
    more = f" and {len(first) - NAMED} more" if len(first) > NAMED else ""
    return ", ".join(first[:NAMED]) + more + (f", with {len(behind)} behind" if behind else "")


def _names(manifest: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """By unique id, what Dagster calls each node that is a table."""
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] in ("model", "seed", "snapshot"):
            yield unique_id, node["name"]
    for unique_id, source in manifest["sources"].items():
        if is_landing(source):
            yield unique_id, f"{source['source_name']}/{source['name']}"


def _writers(node: str, names: Mapping[str, str], models: Mapping[str, ModelDeclaration]) -> list[str]:
    """What a table that dbt reads is called, or the assets that write it, if it is one of the lake's."""
    if node in names:
        return [names[node]]
    _, _, *source = node.split(".")
    lake, _, domain = source[0].partition("_")
    if lake != LAKE_SOURCE or source[-1] not in LAKE_TABLES:
        return []
    written_by = LAKE_TABLES[source[-1]]
    steps = dict.fromkeys((written_by, LAST_STEP)) if written_by else ()
    return [f"{name}/{step}" for name, one in models.items() if domain in ("", one.domain.name) for step in steps]
