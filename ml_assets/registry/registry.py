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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from filelock import FileLock

from ml_assets.errors import ChampionUnknown, NoChampion, RegistryUnreachable, VersionMissing, VersionUnreadable
from ml_assets.fitting.training import Candidate
from ml_assets.moments import text_of
from ml_assets.registry.artifacts import ArtifactStore
from ml_assets.registry.reachability import check_database, is_of_the_database, unreachable
from ml_assets.registry.records import unreadable_versions
from ml_assets.registry.tracking import NO_SUCH, ROLLED_BACK, SEAL, connect, log_figures, log_run, seal_of, version_of
from ml_assets.registry.versions import Standing, Version, last_seen, remember, seen_path

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
        log: the decision log of the home, if there is one; one with lines tells that the registry has been in use.
    """

    def __init__(self, root: Path, log: Path | None = None) -> None:
        self.root = root
        self.log = log
        self.artifacts = ArtifactStore(root / "models")
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
            fits = {"sha256": candidate.final, "twin_sha256": candidate.twin, "fallback_sha256": candidate.fallback}
            files = {
                name: self.artifacts.save(fitted.model, declaration.trusted) if fitted else ""
                for name, fitted in fits.items()
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
            tags[SEAL] = seal_of(tags)
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
        with self._locked():
            log_figures(self._client, version, metrics)

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
        """Every version of a model, oldest first; one whose tags cannot be read is left out (see `unreadable`)."""
        found = self._client.search_model_versions(f"name = '{model}'", max_results=10_000)
        every = (self._read(one) for one in sorted(found, key=lambda one: int(one.version)))
        return tuple(one for one in every if one is not None)

    @_asks
    def unreadable(self, model: str) -> tuple[str, ...]:
        """What is wrong with the versions that `versions` leaves out, one sentence each, oldest first."""
        return unreadable_versions(self.root / "mlflow.db").get(model, ())

    @_asks
    def champion(self, model: str) -> Version | None:
        """The version that serves; None before the first promotion.

        Raises:
            ChampionUnknown: if there was one, and the registry does not say which any more.
            VersionUnreadable: if what is remembered of it is not what was written.
        """
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
        """The champion and the one before it; if the registry cannot say who that is, those that were last seen.

        Raises:
            RegistryError: if it cannot say, and no champion was ever seen.
        """
        try:
            trouble = self._put_alias_back(model)
            standing = Standing(self.champion(model), self._readable_previous(model))
        except (RegistryUnreachable, ChampionUnknown, VersionUnreadable) as error:
            seen = last_seen(self.root, model)
            if seen is None or seen.champion is None:
                raise
            return Standing(seen.champion, seen.previous, getattr(error, "trouble", str(error)))
        if standing != last_seen(self.root, model):
            with suppress(OSError), self._locked():  # it is needed only when all else fails
                self._remember(model)
        return replace(standing, trouble=trouble)

    @_asks
    def promote(self, model: str, version: int) -> Version:
        """Makes the version champion. Repeating it changes nothing.

        Raises:
            VersionMissing: if there is none of that number.
        """
        with self._locked():
            chosen = self.get(model, version)
            line, alias = self._recorded(model)
            if alias and alias.isdecimal():
                line = self._line(model)
            if (line[-1:], alias) != ([version], str(version)):
                line = line[:-1] if line[-1:] == [version] else line
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

    def load(
        self,
        version: Version,
        which: Literal["final", "twin", "fallback"] = "final",
        trusted: Sequence[str] = (),
    ) -> Pipeline:
        """One of a version's models, verified; `trusted` are the types that the model's declaration allows its files.

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
        return self.artifacts.load(sha256, trusted)

    def _remember(self, model: str) -> None:
        standing = Standing(self.champion(model), self._readable_previous(model))
        if standing != last_seen(self.root, model):
            remember(self.root, model, standing)

    def _sign_of_life(self) -> Path | None:
        """What exists only because this registry has been in use."""
        for folder, pattern in ((self.root / "models", "*.skops"), (self.root / "champions", "*.json")):
            if next(folder.glob(pattern), None) is not None:
                return folder
        return self.log if self.log and self.log.exists() and self.log.stat().st_size else None

    def _read(self, found: Any) -> Version | None:
        try:
            return version_of(self._client, found)
        except VersionUnreadable:
            return None

    def _readable_previous(self, model: str) -> Version | None:
        """The champion before the present one, if it can be read: it is needed only where the present one fails."""
        try:
            return self.previous_champion(model)
        except VersionUnreadable:
            return None

    def _champion_number(self, model: str) -> int | None:
        line = self._line(model)
        return line[-1] if line else None

    def _line(self, model: str) -> list[int]:
        """The champions up to the present one, oldest first; the alias is what counts if a crash came between it and
        the line.
        """
        line, alias = self._recorded(model)
        seen = last_seen(self.root, model)
        champion = seen.champion.version if seen and seen.champion else None
        if alias is None and seen is not None and champion is None:
            return []  # also where a crash came between the first champion's line and its alias
        if alias is None or not alias.isdecimal():
            if line and line[-1] == champion:  # two records agree, and `standing` puts the alias back
                return line
            raise ChampionUnknown(model, self._alias_trouble(alias), self._remedy(model))
        number = int(alias)
        if number in line:
            return line[: len(line) - line[::-1].index(number)]
        return [*line, number]

    def _recorded(self, model: str) -> tuple[list[int], str | None]:
        """The line of champions and the alias as they stand in the database; a line that is none counts as empty."""
        registered = self._registered(model)
        try:
            line = [int(number) for number in json.loads(registered.get("tags", {}).get(_LINE, "[]"))]
        except (ValueError, TypeError):
            line = []
        alias = registered.get("aliases", {}).get(ALIAS)
        return line, None if alias is None else str(alias)

    @_asks
    def _put_alias_back(self, model: str) -> str | None:
        """Names the champion again, if the database has lost its name and two other records agree on it; says so."""
        _, alias = self._recorded(model)
        if alias is not None and alias.isdecimal():
            return None
        number = self._champion_number(model)
        if number is None:
            return None
        with self._locked():
            self._client.set_registered_model_alias(model, ALIAS, str(number))
        return f"{self._alias_trouble(alias)}; it was put back"

    def _alias_trouble(self, alias: str | None) -> str:
        return f"in mlflow.db the alias {ALIAS!r} " + ("is gone" if alias is None else f"names {alias!r}, no version")

    def _remedy(self, model: str) -> str:
        return (
            "restore mlflow.db from a backup; if it is right that there is no champion, move "
            f"{seen_path(self.root, model)} aside, and the next version that passes becomes champion"
        )

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
