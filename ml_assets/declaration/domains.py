"""What a domain is: data, features, training sets and models that share a clock and a cadence.

What belongs here: a domain's own declaration, which domain a dbt node belongs to, and the names of the tables that
every domain has. What does not: what is in those tables.

A domain is a folder `<domain>/` in the layers of `dbt_project/models/` (beside `core/`, which belongs to none), and a
dbt group of its name, whose `config.meta.domain` says its cadence:

    groups:
      - name: shop
        owner: {name: Shop, email: shop@example.com}
        config: {meta: {domain: {window: week, late_after: 26 hours}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ml_assets.declaration.schema import DomainBlock, Owner, parse_domain
from ml_assets.errors import DeclarationError
from ml_assets.measuring.windows import Window

CORE = "core"


@dataclass(frozen=True)
class DomainTables:
    """The names of the tables that each domain has, whatever its own are called."""

    domain: str

    @property
    def intake(self) -> str:
        return f"int_{self.domain}__intake"

    @property
    def watermark(self) -> str:
        return f"int_{self.domain}__watermark"

    @property
    def predictions(self) -> str:
        return f"fct_{self.domain}__predictions"

    @property
    def data_health(self) -> str:
        return f"mon_{self.domain}__data_health"

    @property
    def performance(self) -> str:
        return f"mon_{self.domain}__performance"

    @property
    def feature_drift(self) -> str:
        return f"mon_{self.domain}__feature_drift"

    @property
    def prediction_drift(self) -> str:
        return f"mon_{self.domain}__prediction_drift"


@dataclass(frozen=True)
class Domain:
    """One domain as it is declared."""

    name: str
    owner: Owner
    window: Window = "week"
    least_outcomes: int = 100
    least_decisions: int = 500
    complete_share: float = 0.99
    late_after: timedelta | None = None

    @property
    def tables(self) -> DomainTables:
        return DomainTables(self.name)


# For whoever declares no domain: one of its own name with the usual cadence.
UNNAMED = Domain("all", Owner("", ""))


def domain_of(node: Mapping[str, Any]) -> str:
    """The domain of a node, source or exposure of dbt's manifest: the folder below its layer.

    >>> domain_of({"fqn": ["perennial", "training", "shop", "trn_returns"]})
    'shop'
    >>> domain_of({"fqn": ["perennial", "shop", "countries"], "resource_type": "seed"})
    'shop'
    >>> domain_of({"fqn": ["perennial", "one"]})
    'core'
    """
    path = list(node.get("fqn") or ())
    if node.get("resource_type") == "seed":  # has no layer: the folder below seeds/
        return str(path[1]) if len(path) > 2 else CORE
    return str(path[2]) if len(path) > 3 else CORE


def read_domains(manifest: Mapping[str, Any]) -> dict[str, Domain]:
    """Every declared domain, by name.

    Raises:
        DeclarationError: with every mistake.
    """
    domains: dict[str, Domain] = {}
    problems: list[str] = []
    for group in sorted(manifest.get("groups", {}).values(), key=lambda group: group["name"]):
        found = ((group.get("config") or {}).get("meta") or {}).get("domain")
        if found is None:
            continue
        where = f"{group.get('original_file_path') or group['name']}: {group['name']}"
        block, mistakes = parse_domain(found)
        problems += [f"{where}: {f'config.meta.domain.{place}'.rstrip('.')}: {words}" for place, words in mistakes]
        owner = group.get("owner") or {}
        if not owner.get("name") or not owner.get("email"):
            problems.append(f"{where}: owner: found {owner!r}; give a name and an email: somebody must answer for it")
        elif block is not None:
            domains[group["name"]] = _domain(group["name"], owner, block)
    if problems:
        raise DeclarationError(problems)
    return domains


def landing_domains(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The domains in whose folders a landing table is declared, in the order of their names."""
    sources = manifest.get("sources", {}).values()
    return tuple(sorted({domain_of(source) for source in sources if is_landing(source)} - {CORE}))


def is_landing(source: Mapping[str, Any]) -> bool:
    """Whether files land for the source: `config.meta.landing`."""
    return bool(((source.get("config") or {}).get("meta") or source.get("meta") or {}).get("landing"))


def _domain(name: str, owner: Mapping[str, Any], block: DomainBlock) -> Domain:
    return Domain(
        name=name,
        owner=Owner(str(owner["name"]), str(owner["email"])),
        window=block.window,
        least_outcomes=block.least_outcomes,
        least_decisions=block.least_decisions,
        complete_share=block.complete_share,
        late_after=block.late_after,
    )
