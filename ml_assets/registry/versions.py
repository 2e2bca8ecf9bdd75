"""What is remembered of a version, and of who was champion when the registry could last be asked.

What belongs here: those values, and the files `champions/<model>.json` beside the registry. What does not: asking the
registry (`registry.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_assets.declaration.model import BASELINES, columns_named
from ml_assets.lake.files import write_whole
from ml_assets.moments import moment_of, text_of

_MOMENTS = ("as_of", "window_start", "trained_through", "twin_trained_through")


@dataclass(frozen=True)
class Version:
    """What is remembered of one version of one model."""

    model: str
    version: int
    candidate_fingerprint: str
    sha256: str
    twin_sha256: str
    fallback_sha256: str | None
    as_of: datetime
    window_start: datetime
    trained_through: datetime
    twin_trained_through: datetime
    training_rows: int
    twin_rows: int
    training_hash: str
    table_hash: str
    declaration_fingerprint: str
    whole_fingerprint: str
    code_version: str
    lock_hash: str
    schema: tuple[tuple[str, str], ...]
    declaration: Mapping[str, Any]
    rolled_back: bool
    run_id: str
    metrics: Mapping[str, float]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the training set that its final model and its twin take."""
        if self.declaration["estimator"] in BASELINES:
            return columns_named(self.declaration["estimator"], self.declaration["params"])
        return tuple(name for name, _ in self.schema)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the training set that its models take: its features, and those that its baselines name."""
        holders = [self.declaration, *self.declaration["baselines"]]
        named = [name for holder in holders for name in columns_named(holder["estimator"], holder["params"])]
        return tuple(dict.fromkeys([*(name for name, _ in self.schema), *named]))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        found = asdict(self)
        return {name: text_of(value) if isinstance(value, datetime) else value for name, value in found.items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Version:
        """The inverse of `as_json`.

        Raises:
            KeyError, TypeError, ValueError: if it is not what `as_json` makes.
        """
        read: dict[str, Callable[[Any], Any]] = dict.fromkeys(_MOMENTS, moment_of)
        read["schema"] = lambda pairs: tuple((name, kind) for name, kind in pairs)
        return cls(**{one.name: read.get(one.name, _as_it_is)(found[one.name]) for one in fields(cls)})


@dataclass(frozen=True)
class Standing:
    """The champion and the one before it. `trouble` says why they are those that were last seen: the registry could not
    be asked.
    """

    champion: Version | None
    previous: Version | None
    trouble: str | None = None


def last_seen(root: Path, model: str) -> Standing | None:
    """What `remember` wrote last; nobody, if it never did; None if that cannot be read."""
    try:
        found = json.loads(seen_path(root, model).read_text())
        champion, previous = (
            Version.from_json(found[which]) if found[which] else None for which in ("champion", "previous")
        )
        return Standing(champion, previous)
    except FileNotFoundError:
        return Standing(None, None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(root: Path, model: str, standing: Standing) -> None:
    """Replaces what was last seen, whole or not at all."""
    path = seen_path(root, model)
    if standing.champion is None:
        path.unlink(missing_ok=True)
        return
    found = {
        "champion": standing.champion.as_json(),
        "previous": standing.previous.as_json() if standing.previous else None,
    }
    write_whole(path, json.dumps(found, indent=1, sort_keys=True).encode())


def seen_path(root: Path, model: str) -> Path:
    """The file of the champion last seen."""
    return root / "champions" / f"{model}.json"


def _as_it_is(value: Any) -> Any:
    return value
