"""The versions of each model: MLflow on SQLite, behind the few verbs that the lifecycle needs.

What belongs here: versions into MLflow and out, and which one is champion. What does not: model files (`artifacts.py`),
verdicts (`promotion.py`).

MLflow holds parameters, metrics and tags; its UI shows them. All that the lifecycle itself reads is in the version's
tags. Writers are kept apart by a file lock, and every verb may be repeated: logging a candidate that is there returns
its version. The champion is the alias `champion`; the line of champions before it is a tag of the registered model,
written before the alias moves, so a crash between the two leaves a line that is read correctly.

A database that cannot be asked is an error of every verb but one: `standing` then answers from the file
`champions/<model>.json`, which holds the champion last seen and the one before it. It is derived, and written anew
whenever it would say something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from filelock import FileLock

from ml_assets.errors import NoChampion, RegistryUnreachable, VersionMissing
from ml_assets.fitting.training import Candidate
from ml_assets.moments import text_of
from ml_assets.registry.artifacts import ArtifactStore
from ml_assets.registry.reachability import check_database, is_of_the_database, unreachable
from ml_assets.registry.tracking import NO_SUCH, ROLLED_BACK, connect, log_run, version_of
from ml_assets.registry.versions import Standing, Version, last_seen, remember

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

ALIAS = "champion"
LOCK_SECONDS = 120
_LINE = "perennial.champions"
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _asks(verb: Callable[Concatenate[Registry, _P], _R]) -> Callable[Concatenate[Registry, _P], _R]:
    """A verb that needs the database: what keeps it from answering becomes one error.

    Every page of the database is read once, before the first verb, and again after one that it kept from answering.
    """

    @wraps(verb)
    def asked(self: Registry, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        path = self.root / "mlflow.db"
        check_database(path, self._sign_of_life(), whole=not self._is_sound)
        self._is_sound = path.exists()
        try:
            return verb(self, *args, **kwargs)
        except Exception as error:
            if not is_of_the_database(error):
                raise
            self._is_sound = False
            raise unreachable(path, error) from error

    return asked


class Registry:
    """The registry below one folder: `mlflow.db`, `models/`, `champions/`, and a lock.

    Args:
        trusted: full names of further types that the declared estimators need.
        log: the decision log of the home, if there is one; one with lines tells that the registry has been in use.
    """

    def __init__(self, root: Path, trusted: tuple[str, ...] = (), log: Path | None = None) -> None:
        self.root = root
        self.log = log
        self.artifacts = ArtifactStore(root / "models", trusted)
        self._is_sound = False  # not yet found to be

    @_asks
    def log_candidate(self, candidate: Candidate) -> Version:
        """Saves the candidate's files and remembers it as a new version; a candidate of the same fingerprint is the
        version that there is.
        """
        declaration = candidate.declaration
        with self._locked():
            present = self.find(declaration.name, candidate.candidate_fingerprint)
            if present is not None and self.has_files(present):
                return present
            files = {
                "sha256": self.artifacts.save(candidate.final.model),
                "twin_sha256": self.artifacts.save(candidate.twin.model),
                "fallback_sha256": self.artifacts.save(candidate.fallback.model) if candidate.fallback else "",
            }
            if present is not None:
                return present
            tags = {
                **files,
                "candidate_fingerprint": candidate.candidate_fingerprint,
                "as_of": text_of(candidate.as_of),
                "window_start": text_of(candidate.window_start),
                "trained_through": text_of(candidate.final.trained_through),
                "twin_trained_through": text_of(candidate.twin.trained_through),
                "training_rows": str(candidate.final.rows),
                "twin_rows": str(candidate.twin.rows),
                "training_hash": candidate.training_hash,
                "table_hash": candidate.table_hash,
                "declaration_fingerprint": declaration.fingerprint,
                "whole_fingerprint": declaration.whole_fingerprint,
                "code_version": candidate.code_version,
                "lock_hash": candidate.lock_hash,
                "schema": json.dumps(declaration.schema),
                "declaration": json.dumps(declaration.as_dict(), sort_keys=True),
            }
            run_id = log_run(
                self._client,
                self.root,
                declaration.name,
                tags,
                {"estimator": declaration.estimator, "task": declaration.task, **declaration.params},
            )
            version = self._client.create_model_version(
                declaration.name,
                source=self.artifacts.path(files["sha256"]).absolute().as_uri(),
                run_id=run_id,
                tags=tags,
                await_creation_for=0,
            )
            return self.get(declaration.name, int(version.version))

    @_asks
    def log_metrics(self, version: Version, metrics: Mapping[str, float]) -> None:
        """Remembers figures about a version, in one call; a figure logged before is replaced by the newer one."""
        from mlflow.entities import Metric

        if not metrics:
            return
        stamp = int(version.as_of.timestamp() * 1000)
        with self._locked():
            self._client.log_batch(
                version.run_id, metrics=[Metric(name, value, stamp, 0) for name, value in metrics.items()]
            )

    @_asks
    def get(self, model: str, version: int) -> Version:
        """One version.

        Raises:
            VersionMissing: if there is none of that number.
        """
        from mlflow.exceptions import MlflowException

        try:
            return version_of(self._client, self._client.get_model_version(model, str(version)))
        except MlflowException as error:
            if error.error_code != NO_SUCH:
                raise
            raise VersionMissing(
                f"{model}: no version {version} in {self.root / 'mlflow.db'}; perennial status shows which there are"
            ) from None

    @_asks
    def find(self, model: str, candidate_fingerprint: str) -> Version | None:
        """The version of a candidate's fingerprint, if it was logged."""
        found = self._client.search_model_versions(
            f"name = '{model}' and tags.candidate_fingerprint = '{candidate_fingerprint}'", max_results=1
        )
        return version_of(self._client, found[0]) if found else None

    @_asks
    def versions(self, model: str) -> tuple[Version, ...]:
        """Every version of a model, oldest first."""
        found = self._client.search_model_versions(f"name = '{model}'", max_results=10_000)
        return tuple(sorted((version_of(self._client, one) for one in found), key=lambda version: version.version))

    @_asks
    def champion(self, model: str) -> Version | None:
        """The version that serves; None before the first promotion."""
        number = self._champion_number(model)
        return None if number is None else self.get(model, number)

    @_asks
    def previous_champion(self, model: str) -> Version | None:
        """The champion before the present one; None if there was none."""
        line = self._line(model)
        return self.get(model, line[-2]) if len(line) > 1 else None

    @_asks
    def champions(self, model: str) -> tuple[Version, ...]:
        """Every champion up to the present one, oldest first; those that were taken back are not among them."""
        return tuple(self.get(model, number) for number in dict.fromkeys(self._line(model)))

    def trouble(self) -> str | None:
        """Why the registry cannot be asked, with the remedy; None if it can be."""
        try:
            check_database(self.root / "mlflow.db", self._sign_of_life())
        except RegistryUnreachable as error:
            return str(error)
        return None

    def standing(self, model: str) -> Standing:
        """The champion and the one before it; if the registry cannot be asked, those that were last seen.

        Raises:
            RegistryUnreachable: if it cannot be asked and no champion was ever seen.
        """
        try:
            standing = Standing(self.champion(model), self.previous_champion(model))
        except RegistryUnreachable as error:
            seen = last_seen(self.root, model)
            if seen is None or seen.champion is None:
                raise
            return Standing(seen.champion, seen.previous, error.trouble)
        if standing != last_seen(self.root, model):
            with suppress(OSError), self._locked():  # it is needed only when all else fails
                self._remember(model)
        return standing

    @_asks
    def promote(self, model: str, version: int) -> Version:
        """Makes the version champion. Repeating it changes nothing.

        Raises:
            VersionMissing: if there is none of that number.
        """
        with self._locked():
            chosen = self.get(model, version)
            line = self._line(model)
            if line[-1:] != [version]:
                self._client.set_registered_model_tag(model, _LINE, json.dumps([*line, version]))
                self._client.set_registered_model_alias(model, ALIAS, str(version))
            self._remember(model)
            return chosen

    @_asks
    def roll_back(self, model: str, champion: int) -> Version:
        """Puts the champion before `champion` back and marks `champion` as rolled back. Repeating it changes nothing.

        Raises:
            NoChampion: if no champion came before it.
        """
        with self._locked():
            line = self._line(model)
            if line[-1:] == [champion]:
                if len(line) < 2:
                    raise NoChampion(
                        f"{model}: version {champion} is the first champion, there is none before it; train and "
                        "promote another version instead"
                    )
                self._client.set_model_version_tag(model, str(champion), ROLLED_BACK, "true")
                self._client.set_registered_model_alias(model, ALIAS, str(line[-2]))
                self._client.set_registered_model_tag(model, _LINE, json.dumps(line[:-1]))
            now = self.champion(model)
            if now is None:
                raise NoChampion(f"{model}: has no champion yet; there is nothing to roll back")
            self._remember(model)
            return now

    def load(self, version: Version, which: Literal["final", "twin", "fallback"] = "final") -> Pipeline:
        """One of a version's models, verified.

        Raises:
            ArtifactError: if the file is gone, changed or not trusted.
            VersionMissing: if the version has no fallback.
        """
        sha256 = {"final": version.sha256, "twin": version.twin_sha256, "fallback": version.fallback_sha256}[which]
        if not sha256:
            raise VersionMissing(
                f"{version.model}: version {version.version} has no {which} model; declare service.fallback: baseline "
                "and train again"
            )
        return self.artifacts.load(sha256)

    def _remember(self, model: str) -> None:
        standing = Standing(self.champion(model), self.previous_champion(model))
        if standing != last_seen(self.root, model):
            remember(self.root, model, standing)

    def _sign_of_life(self) -> Path | None:
        """What exists only because this registry has been in use."""
        for folder, pattern in ((self.root / "models", "*.skops"), (self.root / "champions", "*.json")):
            if next(folder.glob(pattern), None) is not None:
                return folder
        return self.log if self.log and self.log.exists() and self.log.stat().st_size else None

    def _champion_number(self, model: str) -> int | None:
        aliases = self._registered(model).get("aliases", {})
        return int(aliases[ALIAS]) if ALIAS in aliases else None

    def _line(self, model: str) -> list[int]:
        """The champions up to the present one, oldest first; the alias is what counts if a crash came between it and
        the line.
        """
        registered = self._registered(model)
        line = [int(number) for number in json.loads(registered.get("tags", {}).get(_LINE, "[]"))]
        alias = registered.get("aliases", {}).get(ALIAS)
        if alias is None:
            return []
        number = int(alias)
        if number in line:
            return line[: len(line) - line[::-1].index(number)]
        return [*line, number]

    def _registered(self, model: str) -> dict[str, Any]:
        from mlflow.exceptions import MlflowException

        try:
            registered = self._client.get_registered_model(model)
        except MlflowException as error:
            if error.error_code != NO_SUCH:
                raise
            return {}
        return {"tags": dict(registered.tags), "aliases": dict(registered.aliases)}

    def has_files(self, version: Version) -> bool:
        """Whether all of the version's model files are there; their hashes are checked when they are loaded."""
        wanted = [version.sha256, version.twin_sha256, *([version.fallback_sha256] if version.fallback_sha256 else [])]
        return all(self.artifacts.path(sha256).exists() for sha256 in wanted)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock:
            yield

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(self.root / "registry.lock", timeout=LOCK_SECONDS)  # may be taken again by its holder

    @cached_property
    def _client(self) -> MlflowClient:
        """MLflow's client. The database is made once, under the lock."""
        with self._locked():
            return connect(self.root)
