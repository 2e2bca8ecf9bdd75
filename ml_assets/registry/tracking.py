"""Versions into MLflow and out of it, as plain calls of its client.

What belongs here: how a version becomes a run and tags, and comes back from them. What does not: which version is
champion (`registry.py`), model files (`artifacts.py`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.errors import VersionUnreadable
from ml_assets.moments import moment_of
from ml_assets.registry.versions import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

NO_SUCH = "RESOURCE_DOES_NOT_EXIST"
ROLLED_BACK = "rolled_back"
SEAL = "perennial.seal"
_LONGEST_PARAM = 500


def connect(root: Path) -> MlflowClient:
    """A client of `mlflow.db` below the folder, which is made if there is none; call it under the registry's lock.

    MLflow's import takes two seconds, so it waits until this is called.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read by MLflow when it is imported
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # they tell of every migration of a new database
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # what it says is said in our words

    def connected(database: Path) -> MlflowClient:
        uri = f"sqlite:///{database.absolute()}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
        return client

    database = root / "mlflow.db"
    if not database.exists():  # made aside: one whose making was cut short could never be opened again
        aside = root / ".mlflow.db.part"
        for begun in root.glob(f"{aside.name}*"):  # with its journal
            begun.unlink()
        connected(aside)
        os.replace(aside, database)
    return connected(database)


def log_run(client: MlflowClient, root: Path, model: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
    from mlflow.entities import Param, RunTag
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != NO_SUCH:
            raise
        client.create_registered_model(model)
    experiment = client.get_experiment_by_name(model)
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(model, (root / "models").absolute().as_uri())
    )
    for begun in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        client.set_terminated(begun.info.run_id, "KILLED")  # we hold the lock: nobody is at it any more
    stamp = int(moment_of(tags["as_of"]).timestamp() * 1000)
    run = client.create_run(experiment_id, start_time=stamp, run_name=f"{model} {tags['as_of']}")
    run_tags = [RunTag(name, value) for name, value in tags.items() if len(value) < 8000]
    run_params = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
    client.log_batch(run.info.run_id, params=run_params, tags=run_tags)
    client.set_terminated(run.info.run_id, end_time=stamp)
    return run.info.run_id


def log_figures(client: MlflowClient, version: Version, figures: Mapping[str, float]) -> None:
    """Writes a version's figures. Of a figure with several values MLflow keeps the one of the latest step, and of
    several at one step the largest: so another value gets a step of its own.
    """
    from mlflow.entities import Metric

    present = client.get_run(version.run_id).data.metrics
    stamp = int(version.as_of.timestamp() * 1000)
    news = []
    for name, value in figures.items():
        if name in present and present[name] == value:
            continue
        before = client.get_metric_history(version.run_id, name) if name in present else []
        news.append(Metric(name, value, stamp, max((one.step for one in before), default=-1) + 1))
    if news:
        client.log_batch(version.run_id, metrics=news)


def seal_of(tags: Mapping[str, str]) -> str:
    """sha256 over a version's tags as they were first written; what is marked later is not among them."""
    kept = {name: value for name, value in tags.items() if name not in (SEAL, ROLLED_BACK)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def version_of(client: MlflowClient, found: Any) -> Version:
    """What is remembered of a version.

    Raises:
        VersionUnreadable: if its tags are not those that were written.
    """
    version = version_from(found.name, found.version, found.tags, found.run_id)
    return replace(version, metrics=client.get_run(version.run_id).data.metrics) if version.run_id else version


def version_from(model: str, number: object, tags: Mapping[str, str], run_id: str | None) -> Version:
    """A version as its tags tell of it, without its figures.

    Raises:
        VersionUnreadable: if its tags are not those that were written. (Versions of older releases carry no seal.)
    """
    where = f"{model}: version {number} in mlflow.db"
    remedy = "it is not used. Restore mlflow.db from a backup, or train and promote another version"
    if SEAL in tags and tags[SEAL] != seal_of(tags):
        raise VersionUnreadable(f"{where}: its tags are not those that were written when it was trained; {remedy}")
    try:
        return _read_version(model, int(str(number)), tags, run_id or "")
    except KeyError as error:
        raise VersionUnreadable(f"{where}: its tag {error.args[0]} is missing; {remedy}") from None
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise VersionUnreadable(f"{where}: one of its tags is no such value ({error}); {remedy}") from None


def _read_version(model: str, number: int, tags: Mapping[str, str], run_id: str) -> Version:
    return Version(
        model=model,
        version=number,
        candidate_fingerprint=tags["candidate_fingerprint"],
        sha256=tags["sha256"],
        twin_sha256=tags["twin_sha256"],
        fallback_sha256=tags["fallback_sha256"] or None,
        as_of=moment_of(tags["as_of"]),
        window_start=moment_of(tags["window_start"]),
        trained_through=moment_of(tags["trained_through"]),
        twin_trained_through=moment_of(tags["twin_trained_through"]),
        training_rows=int(tags["training_rows"]),
        twin_rows=int(tags["twin_rows"]),
        training_hash=tags["training_hash"],
        table_hash=tags["table_hash"],
        declaration_fingerprint=tags["declaration_fingerprint"],
        whole_fingerprint=tags["whole_fingerprint"],
        code_version=tags["code_version"],
        lock_hash=tags["lock_hash"],
        schema=tuple((name, kind) for name, kind in json.loads(tags["schema"])),
        declaration=json.loads(tags["declaration"]),
        rolled_back=tags.get(ROLLED_BACK) == "true",
        run_id=run_id,
        metrics={},
    )
