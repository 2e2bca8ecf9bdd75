"""How often tables are promised to be made anew.

What belongs here: reading the levels of dbt's nodes. What does not: what is late now (`observing/lateness.py`), the
promise of a model to answer what lands (`observing/predictions_due.py`).

A level is `config.meta.service: {late_after: 26 hours}` of a model, or of its folder in dbt_project.yml. A public model
that says nothing has the level of its domain (`late_after` of `config.meta.domain`), if that declares one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_assets.declaration.domains import domain_of, read_domains
from ml_assets.declaration.schema import parse_table_service
from ml_assets.errors import DeclarationError

_KINDS = ("model", "seed", "snapshot")


def read_levels(manifest: Mapping[str, Any]) -> dict[str, timedelta]:
    """After how long each node of a dbt manifest is late, by its unique id; nodes without a level are left out.

    Raises:
        DeclarationError: with every mistake; one that a whole folder shares is told once.
    """
    domains = read_domains(manifest)
    levels: dict[str, timedelta] = {}
    mistakes: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for unique_id, node in manifest.get("nodes", {}).items():
        found = ((node.get("config") or {}).get("meta") or {}).get("service")
        if node.get("resource_type") not in _KINDS:
            continue
        if found is None:
            domain = domains.get(domain_of(node))
            if domain is not None and domain.late_after is not None and _is_public(node):
                levels[unique_id] = domain.late_after
            continue
        service, problems = parse_table_service(found)
        if service is not None:
            levels[unique_id] = service.late_after
        folder = str(node.get("original_file_path") or "").rpartition("/")[0]
        for place, words in problems:
            mistakes.setdefault((folder, place, words), []).append(node)
    if mistakes:
        raise DeclarationError([_mistake(*where, nodes) for where, nodes in sorted(mistakes.items())])
    return levels


def _is_public(node: Mapping[str, Any]) -> bool:
    return (node.get("access") or (node.get("config") or {}).get("access")) == "public"


def _mistake(folder: str, place: str, words: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    first = min(nodes, key=lambda node: node["name"])
    file = str(first.get("patch_path") or first.get("original_file_path") or first["name"]).partition("://")[2]
    file = file or str(first.get("original_file_path") or first["name"])
    if len(nodes) > 1:
        file, name = f"dbt_project.yml ({folder}) or {file}", f"{first['name']} and {len(nodes) - 1} beside it"
    else:
        name = first["name"]
    return f"{file}: {name}: {f'config.meta.service.{place}'.rstrip('.')}: {words}"
