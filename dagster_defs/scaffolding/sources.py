"""`perennial new source`: a domain, the contract of its landing tables, and the models that read them.

What belongs here: which files follow from what was seen. What does not: looking (`looking.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dagster_defs.scaffolding.cadence import CADENCES, Step
from dagster_defs.scaffolding.looking import SeenColumn, SeenTable
from dagster_defs.scaffolding.writing import Plan

# Every domain has these of its own, a line each (DomainTables); the folder is the layer.
_TEMPLATES = Path(__file__).with_name("templates") / "domain"


def plan_source(
    root: Path, source: str, domain: str, folder: Path, tables: Sequence[SeenTable], every: Step = "day"
) -> Plan:
    """The files of a source with these tables, and those of its domain that are not there yet.

    Args:
        root: the dbt project.
        folder: where the files lie that the feed is to take.
        every: how often they come; a domain that is there already keeps what it has declared.
    """
    plan = Plan(root)
    plan_domain(plan, domain, every)
    staging = f"models/staging/{domain}"
    values = {
        "source": source,
        "folder": quoted(str(folder)),
        "tables": [_as_values(table) for table in tables],
        "quoted": quoted,
        "described": _described,
    }
    plan.add(f"{staging}/_{source}__sources.yml", "source/sources.yml.j2", **values)
    for table in values["tables"]:
        for kind in ("base", "stg"):
            for suffix in ("sql", "yml"):
                path = f"{staging}/{kind}_{source}__{table['name']}.{suffix}"
                plan.add(path, f"source/{kind}.{suffix}.j2", **{**values, "table": table})
        for own in (
            f"models/intermediate/{domain}/int_{domain}__intake.sql",
            f"{staging}/stg_{domain}__quarantine.sql",
        ):
            plan.list_ref(own, f"base_{source}__{table['name']}")
        plan.notes += [f"{table['name']}: {note}" for note in table["notes"]]
    return plan


def plan_domain(plan: Plan, domain: str, every: Step = "day") -> None:
    """A domain's group and its own copies of the core's tables, where they are not there yet."""
    title = domain.replace("_", " ").capitalize()
    values = {"domain": domain, "title": title, "cadence": CADENCES[every]}
    plan.add_if_absent(f"models/staging/{domain}/_{domain}__domain.yml", "domain.yml.j2", **values)
    for template in sorted(_TEMPLATES.glob("*/*.j2")):
        layer, name = template.parent.name, template.stem.replace("DOMAIN", domain)
        plan.add_if_absent(f"models/{layer}/{domain}/{name}", f"domain/{layer}/{template.name}", domain=domain)


def _as_values(table: SeenTable) -> dict[str, object]:
    return {
        **vars(table),
        "pattern": table.pattern,
        "mapped": [column for column in table.columns if column.name != column.in_file],
    }


def _described(column: SeenColumn) -> str:
    """A first description; a person knows better."""
    return f"{column.in_file.replace('_', ' ').strip().capitalize()}."


def quoted(text: str) -> str:
    """A YAML scalar that says exactly this text."""
    return (
        text
        if re.fullmatch(r"[A-Za-z/][\w./ ()-]*", text) and text == text.strip()
        else "'" + text.replace("'", "''") + "'"
    )
