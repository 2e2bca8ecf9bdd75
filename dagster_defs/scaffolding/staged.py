"""What a staging model holds, told from dbt's manifest: its columns with the types of the source that it reads.

What belongs here: reading the manifest for the writers. What does not: any writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.declaration.domains import domain_of
from ml_assets.errors import PerennialError

# A measure that counts a fraction in whole numbers ends like this; a training set gives it back its unit.
HUNDREDTHS = "_hundredths"
# What a model takes as it is; a moment or a day is none.
FEATURE_TYPES = ("varchar", "boolean", "integer", "bigint", "double")
_WHOLE_TYPES = ("tinyint", "smallint", "integer", "int", "bigint")
_FRACTION_TYPES = ("double", "float", "real")
_OWN = ("known_at", "is_late", "row_version", "file_id")


@dataclass(frozen=True)
class StagedColumn:
    """A column with the type that its source declares; None where a model has made it."""

    name: str
    data_type: str | None

    @property
    def is_whole(self) -> bool:
        return self.data_type in _WHOLE_TYPES

    @property
    def is_fraction(self) -> bool:
        return self.data_type in _FRACTION_TYPES or str(self.data_type).startswith(("decimal", "numeric"))


@dataclass(frozen=True)
class Staged:
    """A staging model, with what the landing table that it reads declares: its key, and which column tells its time."""

    name: str
    domain: str
    columns: tuple[StagedColumn, ...]
    key: tuple[str, ...] = ()
    time_column: str | None = None

    def column(self, name: str) -> StagedColumn:
        """The column of that name, its type known.

        Raises:
            PerennialError: with the columns that there are.
        """
        found = next((one for one in self.columns if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.columns)
            raise PerennialError(f"{self.name} has no column {name}; it has {known}")
        if found.data_type is None:
            raise PerennialError(f"{self.name}.{name}: its type cannot be told: no source has such a column")
        return found

    def timed(self, option: str) -> Staged:
        """Itself, if its rows carry a time.

        Raises:
            PerennialError: if they do not: nothing can then be said of what was known when.
        """
        if self.time_column is None:
            raise PerennialError(
                f"{option} {self.name}: its rows carry no time, so nobody can tell what was known when; "
                "say config.meta.known_at of its landing table, or name another staging model"
            )
        return self


def staged(manifest: Mapping[str, Any], name: str, option: str = "--from") -> Staged:
    """The staging model of that name.

    Raises:
        PerennialError: with the staging models that there are.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    known = sorted(one for one, node in nodes.items() if one.startswith("stg_") and domain_of(node) != "core")
    if name not in known:
        raise PerennialError(f"{option} {name}: there is no such staging model; there are {', '.join(known) or 'none'}")
    node = nodes[name]
    types: dict[str, str] = {}
    landing: dict[str, Any] = {}
    for source in _sources_above(manifest, node):
        types.update({column["name"]: column["data_type"] for column in source["columns"].values()})
        landing.update((source.get("config") or {}).get("meta") or {})
    columns = tuple(StagedColumn(column, types.get(column)) for column in node["columns"] if column not in _OWN)
    return Staged(name, domain_of(node), columns, tuple(landing.get("key") or ()), landing.get("known_at"))


def _sources_above(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for parent in node["depends_on"]["nodes"]:
        if parent in manifest["sources"]:
            yield manifest["sources"][parent]
        elif manifest["nodes"].get(parent, {}).get("name", "").startswith("base_"):
            yield from _sources_above(manifest, manifest["nodes"][parent])
