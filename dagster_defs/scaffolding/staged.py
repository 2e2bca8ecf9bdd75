"""What a staging model holds, told from dbt's manifest: its columns with the types of the source that it reads.

What belongs here: reading the manifest for the writers. What does not: any writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.declaration.domains import domain_of
from ml_assets.errors import PerennialError

_OWN = ("known_at", "is_late", "row_version", "file_id")


@dataclass(frozen=True)
class StagedColumn:
    """A column with the type that its source declares; None where a model has made it."""

    name: str
    data_type: str | None


@dataclass(frozen=True)
class Staged:
    """A staging model."""

    name: str
    domain: str
    columns: tuple[StagedColumn, ...]

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


def staged(manifest: Mapping[str, Any], name: str) -> Staged:
    """The staging model of that name.

    Raises:
        PerennialError: with the staging models that there are.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    known = sorted(one for one, node in nodes.items() if one.startswith("stg_") and domain_of(node) != "core")
    if name not in known:
        raise PerennialError(f"--from {name}: there is no such staging model; there are {', '.join(known) or 'none'}")
    node = nodes[name]
    types: dict[str, str] = {}
    _types_above(manifest, node, types)
    columns = tuple(StagedColumn(column, types.get(column)) for column in node["columns"] if column not in _OWN)
    return Staged(name, domain_of(node), columns)


def _types_above(manifest: Mapping[str, Any], node: Mapping[str, Any], types: dict[str, str]) -> None:
    for parent in node["depends_on"]["nodes"]:
        if parent in manifest["sources"]:
            declared = manifest["sources"][parent]["columns"].values()
            types.update({column["name"]: column["data_type"] for column in declared})
        elif manifest["nodes"].get(parent, {}).get("name", "").startswith("base_"):
            _types_above(manifest, manifest["nodes"][parent], types)
