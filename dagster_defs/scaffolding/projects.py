"""A project without any domain, and a project with one domain less.

What belongs here: which files are the core's and which a domain's. What does not: what is in them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.scaffolding.writing import Plan
from ml_assets.declaration.domains import CORE
from ml_assets.errors import PerennialError

_NOT_SOURCES = ("target", "logs", "dbt_packages")
_REF = re.compile(r"""(?:ref|source)\(\s*['"]([\w.]+)['"]""")


def domains_of(project: Path) -> list[str]:
    """The domains of a dbt project: every folder beside `core/` in a layer, and every one that a group declares."""
    declared = {path.parent.name for path in project.glob("models/staging/*/_*__domain.yml")}
    folders = {path.name for path in project.glob("models/*/*") if path.is_dir()}
    return sorted((declared | folders) - {CORE})


def folders_of(project: Path, domain: str) -> list[Path]:
    """The folders that a domain's files are in."""
    places = [*project.glob(f"models/*/{domain}"), *(project / kind / domain for kind in ("macros", "seeds", "tests"))]
    return sorted(place for place in places if place.is_dir())


def plan_project(root: Path, shipped: Path) -> Plan:
    """A project of its own: the core of the shipped dbt project, and what Dagster and the command need to find it."""
    plan = Plan(root)
    of_domains = [folder for domain in domains_of(shipped) for folder in folders_of(shipped, domain)]
    for folder, folders, files in os.walk(shipped):
        here = Path(folder)
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in (*_NOT_SOURCES, "__pycache__")
        ]
        if any(here.is_relative_to(one) for one in of_domains):
            continue
        for name in sorted(files):
            if not name.endswith((".pyc", ".part")) and name != ".user.yml":
                plan.new[f"dbt_project/{(here / name).relative_to(shipped)}"] = (here / name).read_text()
    plan.add("workspace.yaml", "project/workspace.yaml.j2")
    plan.add(".env", "project/env.j2", root=root.absolute())
    plan.add(".gitignore", "project/gitignore.j2")
    return plan


@dataclass(frozen=True)
class Removal:
    """What goes with a domain, and what still speaks of it."""

    domain: str
    folders: tuple[Path, ...]
    files: int
    left: tuple[str, ...]


def plan_removal(project: Path, domain: str, landing: Path) -> Removal:
    """What removing a domain means.

    Raises:
        PerennialError: if there is no such domain, or what is left would stand on it.
    """
    if domain not in domains_of(project):
        raise PerennialError(
            f"there is no domain {domain} in {project}; there are {', '.join(domains_of(project)) or 'none'}"
        )
    folders = folders_of(project, domain)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    gone = {path.stem for path in files if path.suffix in (".sql", ".csv")}
    sources = {
        name
        for path in files
        if path.suffix == ".yml"
        for name in re.findall(r"^  - name: (\w+)", path.read_text(), re.MULTILINE)
    }
    leaning = [
        f"{path.relative_to(project)} reads {', '.join(sorted(named))}"
        for path in sorted(
            [*project.glob("models/**/*"), *project.glob("macros/**/*.sql"), *project.glob("tests/**/*.sql")]
        )
        if path.is_file()
        and not any(path.is_relative_to(folder) for folder in folders)
        and (named := set(_REF.findall(path.read_text())) & (gone | sources))
    ]
    if leaning:
        raise PerennialError(f"{domain} cannot go: {'; '.join(leaning)}; take these references out first")
    left = [
        f"{landing / source} (what has landed; the door names files that no source declares)"
        for source in sorted(sources)
        if (landing / source).is_dir()
    ]
    plugins = {
        name
        for path in files
        if path.suffix == ".yml"
        for name in re.findall(r"plugin: ([\w.]+):\w+", path.read_text())
    }
    left += [f"{plugin.replace('.', '/')}.py (the code of its feed)" for plugin in sorted(plugins)]
    left.append("its published tables, predictions, models and decisions in the home: history stays readable")
    return Removal(domain, tuple(folders), len(files), tuple(left))
