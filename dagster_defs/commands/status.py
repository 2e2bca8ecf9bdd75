"""What `perennial status` says, gathered as plain values from what is published and logged.

What belongs here: reading what stands. What does not: changing anything, computing what a table already holds, words
(`status_words.py`). Nothing that takes seconds to import is used here: no Dagster, no dbt, no MLflow, no scikit-learn,
no pandas; a test says so. Where each figure comes from:

    data, rows, late feeds    mon_<domain>__data_health of each domain, as published
    champion                  registry/champions/<model>.json, which follows every promotion and every way back
    judged                    lake/evaluations/<model>/<version>.parquet of the champion
    live                      the champion's own rows of fct_<domain>__predictions, as published
    checks                    lake/checks.jsonl
    late                      the levels in dbt's manifest, and when each asset was last made by lake/costs/
    last decision, in shadow  lake/decisions.jsonl, and the answers in lake/shadow_predictions/
    skew                      lake/predictions/<model>/skew.json, as the last scoring counted it
    unreadable                the tags of the versions in registry/mlflow.db, read without MLflow
    cannot fire               the declaration, beside the newest published parts of the training set
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster_defs.home_folder import HomeFolder, folder_of
from dagster_defs.landing_folder import landing_times
from dagster_defs.levels import last_made, levels_declared, states_now
from dagster_defs.manifest import manifest_path
from dagster_defs.settings import Settings
from ml_assets.deciding.shadow import line_in_shadow
from ml_assets.deciding.unreachable import signals_that_cannot_fire
from ml_assets.declaration.domains import DomainTables, landing_domains
from ml_assets.declaration.reader import read_declarations
from ml_assets.errors import RegistryUnreachable
from ml_assets.lake.plain_columns import equals, is_known, values_of
from ml_assets.moments import in_utc, moment_of, words_of
from ml_assets.observing.cadence import gather_cadence
from ml_assets.observing.incidents import all_late_tables, allowed_silence, in_words
from ml_assets.observing.lateness import find_lateness
from ml_assets.observing.skew_counts import last_skew
from ml_assets.registry.reachability import check_database
from ml_assets.registry.records import unreadable_versions
from ml_assets.registry.versions import Version, last_seen

if TYPE_CHECKING:
    from ml_assets.deciding.log import LoggedDecision
    from ml_assets.declaration.model import ModelDeclaration
    from ml_assets.lake.snapshot import Snapshot

OVERALL = "overall"
_MICROSECONDS_A_DAY = 86_400_000_000
_COUNTED = ("landed_rows", "staged_rows", "quarantined_rows", "rejected_files")


def gather_status(settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    """All that the status says, as values that JSON can hold (moments as text); as of the present, or of `now`."""
    home, now = folder_of(settings), now or datetime.now(UTC)
    manifest = json.loads(manifest_path(settings).read_text())
    declarations = read_declarations(manifest)
    lake, log = home.lake.open(), home.decision_log.read()
    domains = landing_domains(manifest)
    health = _health(lake, domains)
    registry = registry_trouble(home)
    unreadable = {} if registry else unreadable_versions(home.registry_folder / "mlflow.db")
    landed = landing_times(home.landing)
    spending = home.spending(now)
    answer: dict[str, Any] = {
        "home": str(settings.home),
        "watermark": max((one["watermark"] for one in health.values() if one["watermark"]), default=None),
        "tables": len(lake.tables()),
        "rows": {name: sum(one["rows"][name] for one in health.values()) for name in _COUNTED} if health else None,
        "domains": health,
        "landed_files": len(landed),
        "checks": _checks(home),
        "budget": spending.text if spending else None,
        "late": _late(home, manifest, declarations, now),
        "late_feeds": [
            f"{table.source}: {in_words(table)}" for table in all_late_tables(lake, domains, allowed_silence(manifest))
        ],
        "incidents": [
            {"key": one.key, "since": one.at, "title": one.title} for one in home.alerts.open_incidents().values()
        ],
        "registry": registry,
        "models": {
            name: {
                **_model(home, lake, log, declaration, landed, now, is_known=registry is None),
                "unreadable": list(unreadable.get(name, ())),
            }
            for name, declaration in declarations.items()
        },
    }
    answer["next"] = _next(answer)
    return answer


def _model(
    home: HomeFolder,
    lake: Snapshot,
    log: tuple[LoggedDecision, ...],
    declaration: ModelDeclaration,
    landed: list[datetime],
    now: datetime,
    *,
    is_known: bool,
) -> dict[str, Any]:
    name = declaration.name
    champion = champion_of(home, log, name)
    last = next((one for one in reversed(log) if one.model == name), None)
    return {
        "domain": declaration.domain.name,
        "decisions": _published_rows(lake, declaration.training_set),
        "champion": champion.version if champion else None,
        "trained_through": champion.trained_through if champion else None,
        "training_rows": champion.training_rows if champion else None,
        "judged": _judged(lake, name, champion.version) if champion else {},
        "metric": declaration.evaluation.metric,
        "live": _live(lake, declaration, champion) if champion else None,
        "in_shadow": _in_shadow(lake, log, declaration, champion) if is_known and champion else None,
        "last_decision": {
            "kind": last.kind,
            "verdict": last.verdict,
            "version": last.version,
            "as_of": last.as_of,
            "decided_at": last.decided_at,
            "reasons": [reason["text"] for reason in last.reasons],
        }
        if last
        else None,
        "service": _service(home, declaration, landed, now),
        "cannot_fire": signals_that_cannot_fire(declaration, gather_cadence(lake, declaration)),
        "skew": _skew(lake, name),
    }


def _skew(lake: Snapshot, model: str) -> dict[str, Any] | None:
    """How many answered decisions were compared with their rows when last scored, how many differed, and since when."""
    skew = last_skew(lake, model)
    if skew is None:
        return None
    return {
        "compared": skew.compared, "differing": skew.differing, "unknown": skew.unknown, "first": skew.first,
        "text": skew.text,
    }  # fmt: skip


def _published_rows(lake: Snapshot, table: str) -> int:
    return lake.rows(table) if table in lake.tables() else 0


def champion_of(home: HomeFolder, log: tuple[LoggedDecision, ...], model: str) -> Version | None:
    """The champion last seen. If that file is lost though somebody was promoted, the registry is asked, which takes
    seconds, and writes it again.
    """
    seen = last_seen(home.registry_folder, model)
    if seen is not None and (seen.champion or not any((one.model, one.verdict) == (model, "promoted") for one in log)):
        return seen.champion
    try:
        return home.registry.standing(model).champion
    except RegistryUnreachable:
        return None


def registry_trouble(home: HomeFolder) -> str | None:
    """Why the registry cannot be asked, with the remedy; None if it can be, or if there is none yet."""
    lived = next((one for one in (home.registry_folder / "champions").glob("*.json")), None)
    try:
        check_database(home.registry_folder / "mlflow.db", lived.parent if lived else None)
    except RegistryUnreachable as error:
        return str(error)
    return None


def _next(answer: dict[str, Any]) -> str | None:
    """What a home needs that has not come far yet, or has lost its registry; None if nothing."""
    if answer["watermark"] is None:
        if answer["landed_files"]:
            return f"{answer['landed_files']:,} files have landed and nothing is published yet: perennial run"
        return (
            "nothing has landed yet. make run lands the example's data and runs everything; for your own data, drop "
            "files into var/landing/<source>/<table>/ or perennial land, then perennial run"
        )
    if answer["registry"]:
        return "nothing is trained or promoted until the registry can be read; the champions last seen predict"
    bare = [name for name, model in answer["models"].items() if model["champion"] is None and model["decisions"]]
    return f"no champion yet of {', '.join(bare)}: perennial run, or the job refresh" if bare else None


# --- data


def _health(lake: Snapshot, domains: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each domain whose health is published: how far its facts reach, and what became of its rows."""
    found = {}
    for domain in domains:
        table = DomainTables(domain).data_health
        if table in lake.tables():
            lines = lake.read(table).to_pylist()
            known = [line["last_known_at"] for line in lines if line["last_known_at"] is not None]
            found[domain] = {
                "watermark": max(known, default=None),
                "rows": {counted: sum(int(line[counted] or 0) for line in lines) for counted in _COUNTED},
            }
    return found


def _checks(home: HomeFolder) -> dict[str, Any]:
    answers = home.test_answers()
    return {
        "passed": sum(status == "pass" for status in answers.values()),
        "warned": [name for name, status in answers.items() if status == "warn"],
        "failed": list(home.failed_checks()),
    }


def _late(
    home: HomeFolder, manifest: Mapping[str, Any], declarations: Mapping[str, ModelDeclaration], now: datetime
) -> list[dict[str, Any]]:
    """What is late, by cause: told from when it was last made, so it is true whether or not a daemon runs."""
    levels = levels_declared(manifest, declarations)
    made = last_made(home.ledger, levels.late_after)
    return [
        {
            "assets": [
                {"asset": asset, "last_made": made[asset], "late_after": words_of(levels.late_after[asset])}
                for asset in lateness.first
            ],
            "behind": list(lateness.behind),
        }
        for lateness in find_lateness(states_now(levels, made, now), levels.parents)
    ]


# --- one model


def _judged(lake: Snapshot, model: str, version: int) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value of the evaluation that made this version champion."""
    judged: dict[str, dict[str, float]] = {}
    for row in lake.read_evaluation(model, version).to_pylist():
        if row["slice_name"] == OVERALL:
            judged.setdefault(row["subject"], {})[row["metric"]] = float(row["value"])
    return judged


def _live(lake: Snapshot, declaration: ModelDeclaration, champion: Version) -> dict[str, Any] | None:
    """The declared metric over the champion's own predictions whose outcome is known; None if there is none."""
    import numpy as np

    from ml_assets.measuring.metrics import measure

    table = declaration.domain.tables.predictions
    if table not in lake.tables():
        return None
    first = f"{champion.as_of:%Y-%m}"
    parts = [part.part for part in lake.parts(table) if not part.part[:1].isdigit() or part.part >= first]
    if not parts:
        return None
    columns = ["model", "model_version", "prediction_status", "decision_at", "prediction", "actual"]
    rows = lake.read(table, columns, parts)
    wanted = {"model": declaration.name, "model_version": champion.version, "prediction_status": "champion"}
    own = np.logical_and.reduce([equals(rows, *pair) for pair in wanted.items()])
    own &= is_known(rows["actual"])
    if not own.any():
        return None
    label, made = (values_of(rows[name].cast("float64"))[own] for name in ("actual", "prediction"))
    return {
        "version": champion.version,
        "days": len(np.unique(values_of(rows["decision_at"].cast("int64"))[own] // _MICROSECONDS_A_DAY)),
        "decisions": int(own.sum()),
        "value": measure(declaration.evaluation.metric, label, made),
    }


def _in_shadow(
    lake: Snapshot, log: tuple[LoggedDecision, ...], declaration: ModelDeclaration, champion: Version
) -> dict[str, Any] | None:
    """The version that answers beside the champion, since when and until when (data time), and how much it answers."""
    line = line_in_shadow(log, declaration.name) if declaration.gates.shadow else None
    if line is None or line.version in (None, champion.version) or declaration.gates.shadow is None:
        return None
    if any((one.model, one.kind, one.previous_version) == (line.model, "rollback", line.version) for one in log):
        return None
    found = line.evidence.get("shadow") or {}
    since = moment_of(found.get("since") or line.as_of or line.decided_at)
    own = _rows_since(lake, declaration.name, since, line.version)
    asked = _rows_since(lake, declaration.name, since, None)
    return {
        "version": line.version,
        "since": since,
        "until": since + declaration.gates.shadow,
        "answers": own,
        "missed": max(asked - own, 0),
        "problem": found.get("problem"),
    }


def _rows_since(lake: Snapshot, model: str, since: datetime, shadow: int | None) -> int:
    """How many decisions after a moment were answered."""
    dates = [day for day in lake.prediction_dates(model, shadow) if day >= since.date()]
    made = values_of(lake.read_predictions(model, dates, ["decision_at"], shadow)["decision_at"].cast("int64"))
    return int((made > in_utc(since).timestamp() * 1e6).sum()) if dates else 0


def _service(home: HomeFolder, declaration: ModelDeclaration, landed: list[datetime], now: datetime) -> dict[str, Any]:
    """What was promised of the predictions, how the last landing fared, and what waits."""
    due = declaration.service.predictions_due
    last = home.due.last_answer(declaration.name)
    since = home.due.waiting_since(declaration.name, landed)
    return {
        "predictions_due": words_of(due) if due else None,
        "last_waited_seconds": last.waited.total_seconds() if last and last.waited is not None else None,
        "waiting_since": since,
        "is_overdue": bool(due and since and now - since > due),
    }
